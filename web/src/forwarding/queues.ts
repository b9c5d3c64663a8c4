/** The queues of what is to be sent to modalities and peers, read again and again while the page is in view. */

import { computed, ref } from "vue";
import { ApiError, messageOf } from "../api/errors";
import { getQueues } from "../api/resources";
import type { Queue } from "../api/types";

const PERIOD_MS = 4000;

export const queues = ref<Queue[]>([]);
/** Why they cannot be read; empty while they can. */
export const trouble = ref("");
/** Whether they were read at all. */
export const isRead = ref(false);

/** How many instances are to be sent. */
export const toSend = computed(() => queues.value.reduce((sum, { Waiting, Held }) => sum + Waiting + Held, 0));

/** Put a queue as an action left it in its place. */
export function replaceQueue(changed: Queue): void {
  queues.value = queues.value.map((queue) => (queue.Path === changed.Path ? changed : queue));
}

let timer = 0;

/** Read them now, and go on with it, unless the server has no such thing or does not let us see it. */
export async function readQueues(): Promise<void> {
  window.clearTimeout(timer);
  if (document.visibilityState === "visible") {
    try {
      queues.value = await getQueues();
      trouble.value = "";
      isRead.value = true;
    } catch (error) {
      trouble.value = messageOf(error);
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return;
    }
  }
  timer = window.setTimeout(readQueues, PERIOD_MS);
}

export function startReading(): void {
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && void readQueues());
  void readQueues();
}
