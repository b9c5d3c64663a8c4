/** What can go wrong with a request, in words. */

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

export const UNREACHABLE = "The server cannot be reached.";

const MEANINGS: Record<number, string> = {
  0: UNREACHABLE,
  401: "You need to sign in.",
  403: "You are not allowed to do this.",
  404: "The server does not have this, or not any more.",
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
