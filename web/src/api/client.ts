/** Requests to the REST API. */

import { apiUrl } from "../site";
import { ApiError, explain, isAborted, UNREACHABLE } from "./errors";

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(apiUrl(path), { credentials: "same-origin", ...init });
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ApiError(UNREACHABLE, 0);
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
