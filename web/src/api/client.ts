/** Requests to the REST API, and what can go wrong with them. */

import { apiUrl } from "../site";

/** A request that the server refused or that did not reach it; the message is fit to be shown. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status, 0 when there was no answer. */
    readonly status: number,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const MEANINGS: Record<number, string> = {
  0: "The server cannot be reached.",
  401: "You need to sign in.",
  403: "You are not allowed to do this.",
  404: "The server does not have this any more.",
  413: "This is larger than the server accepts.",
  415: "The server cannot show this image.",
  503: "The server is busy or starting.",
  507: "The server's storage is full.",
};

/** What to tell the reader about a failed answer, from its status and its body. */
export function explain(status: number, body: string): string {
  try {
    const { Message, Details } = JSON.parse(body) as { Message?: unknown; Details?: unknown };
    const parts = [Message, Details].filter((part): part is string => typeof part === "string" && part !== "");
    if (parts.length > 0) return [...new Set(parts)].join(": ");
  } catch {
    // Not every failure has a JSON body.
  }
  return MEANINGS[status] ?? `The server answered with an error (${status}).`;
}

/** Whether a failure is only that the page no longer wants the answer. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(apiUrl(path), { credentials: "same-origin", ...init });
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ApiError(MEANINGS[0]!, 0);
  }
  if (!answer.ok) throw new ApiError(explain(answer.status, await answer.text()), answer.status);
  return answer;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, signal ? { signal } : {})).json() as Promise<T>;
}

export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await send(path, signal ? { ...init, signal } : init)).json() as Promise<T>;
}
