/** What changed on the server: the change log read every few seconds, while the page is in view. */

import { reactive, ref } from "vue";
import { messageOf } from "../api/errors";
import { getChanges, getLastChange, getStatistics, getSystem } from "../api/resources";
import type { Change, Statistics, System } from "../api/types";

const PERIOD_MS = 4000;
const MAX_PERIOD_MS = 60000;

export const system = ref<System>();
export const statistics = ref<Statistics>();
/** Why the server does not answer; empty while it does. */
export const trouble = ref("");

type Listener = (changes: Change[]) => void;
const listeners = reactive(new Set<Listener>());

/** Be told of changes until the returned function is called. */
export function onChanges(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let last = -1;
let period = PERIOD_MS;
let timer = 0;
let isPolling = false;

async function poll(): Promise<void> {
  if (isPolling) return;
  isPolling = true;
  window.clearTimeout(timer);
  if (document.visibilityState === "visible") {
    try {
      const isDone = await read();
      trouble.value = "";
      period = isDone ? PERIOD_MS : PERIOD_MS / 8;
    } catch (error) {
      trouble.value = messageOf(error);
      period = Math.min(period * 2, MAX_PERIOD_MS);
    }
  }
  isPolling = false;
  timer = window.setTimeout(poll, period);
}

/** Returns whether the log was read to its end. */
async function read(): Promise<boolean> {
  system.value ??= await getSystem();
  if (last < 0) {
    [last, statistics.value] = await Promise.all([getLastChange(), getStatistics()]);
    return true;
  }
  const answer = await getChanges(last);
  // A log that was emptied with its database numbers anew.
  last = answer.Changes.length > 0 || answer.Last < last ? answer.Last : last;
  if (answer.Changes.length === 0) return true;
  statistics.value = await getStatistics();
  for (const listener of listeners) listener(answer.Changes);
  return answer.Done;
}

/** Look at once, because this page itself changed something. */
export function pollSoon(): void {
  void poll();
}

/** Read the totals again, after this page deleted something. */
export async function refreshStatistics(): Promise<void> {
  statistics.value = await getStatistics();
}

export function startPolling(): void {
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && void poll());
  void poll();
}
