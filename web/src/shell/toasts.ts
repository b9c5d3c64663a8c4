/** Short messages at the foot of the page. */

import { shallowReactive } from "vue";

export interface Toast {
  id: number;
  text: string;
  kind: "done" | "error";
}

export const toasts = shallowReactive<Toast[]>([]);
let lastId = 0;

export function dismiss(id: number): void {
  const index = toasts.findIndex((toast) => toast.id === id);
  if (index >= 0) toasts.splice(index, 1);
}

/** Errors stay until they are dismissed. */
export function say(text: string, kind: Toast["kind"] = "done"): void {
  const id = (lastId += 1);
  toasts.push({ id, text, kind });
  if (kind === "done") window.setTimeout(() => dismiss(id), 4000);
}
