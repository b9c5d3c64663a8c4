/** The files being sent: a few at a time, each tried again when the network fails. */

import { computed, reactive, readonly, ref, shallowReactive } from "vue";
import { getStudy } from "../api/resources";
import type { Study } from "../api/types";
import { apiUrl } from "../site";
import { pollSoon } from "../shell/live";
import { isIgnored, walk } from "./entries";
import { outcomeOf, type Fate, type Outcome } from "./outcome";

const PARALLEL = 4;
const TRIES = 3;
/** Files taken in at once: the page is drawn again after each batch, not after each of a hundred thousand files. */
const BATCH = 500;

export interface Item {
  id: number;
  file: File;
  path: string;
  /** Bytes on their way to the server. */
  sent: number;
  state: "waiting" | "sending" | Fate | "cancelled";
  reason: string;
}

/** Sums over all files since the list was last cleared; kept by hand, for a list may have a hundred thousand. */
const totals = reactive({ files: 0, bytes: 0, doneFiles: 0, doneBytes: 0, stored: 0, known: 0, refused: 0, failed: 0 });
const sending = shallowReactive(new Map<number, Item>());
const problems = shallowReactive<Item[]>([]);
const studies = shallowReactive(new Map<string, Study | null>());
const isOpen = ref(false);
const isReading = ref(false);

/** Items from `head` on wait; taking them off the front would move all others each time. */
let waiting: Item[] = [];
let head = 0;
let lastId = 0;
let isCancelled = false;
const requests = new Map<number, XMLHttpRequest>();

const isBusy = computed(() => isReading.value || totals.doneFiles < totals.files);
const sentBytes = computed(() => totals.doneBytes + [...sending.values()].reduce((sum, item) => sum + item.sent, 0));

export const upload = { totals: readonly(totals), sending, problems, studies, isOpen, isReading, isBusy, sentBytes };

/** Send files and everything inside folders. */
export async function add(roots: (FileSystemEntry | File)[]): Promise<void> {
  isOpen.value = true;
  isCancelled = false;
  isReading.value = true;
  try {
    let batch: File[] = [];
    for await (const file of walk(roots)) {
      if (isCancelled) return;
      if (!isIgnored(file.name)) batch.push(file);
      if (batch.length < BATCH) continue;
      batch.forEach(enqueue);
      batch = [];
    }
    batch.forEach(enqueue);
  } catch {
    refuse("A folder", "It could not be read to its end.");
  } finally {
    isReading.value = false;
  }
}

export function cancel(): void {
  isCancelled = true;
  const given = waiting.slice(head);
  totals.files -= given.length;
  totals.bytes -= given.reduce((sum, item) => sum + item.file.size, 0);
  waiting = [];
  head = 0;
  for (const request of requests.values()) request.abort();
}

/** Forget what has been sent. */
export function clear(): void {
  if (isBusy.value) return;
  Object.assign(totals, { files: 0, bytes: 0, doneFiles: 0, doneBytes: 0, stored: 0, known: 0, refused: 0, failed: 0 });
  problems.splice(0);
  studies.clear();
  isOpen.value = false;
}

/** Send again the files that did not reach the server. */
export function retry(): void {
  const again = problems.filter(({ state }) => state === "failed");
  const others = problems.filter(({ state }) => state !== "failed");
  problems.splice(0, problems.length, ...others);
  isCancelled = false;
  for (const { file } of again) {
    totals.files -= 1;
    totals.bytes -= file.size;
    totals.doneFiles -= 1;
    totals.doneBytes -= file.size;
    totals.failed -= 1;
    enqueue(file);
  }
}

function enqueue(file: File): void {
  const path = file.webkitRelativePath || file.name;
  const item: Item = { id: (lastId += 1), file, path, sent: 0, state: "waiting", reason: "" };
  totals.files += 1;
  totals.bytes += file.size;
  waiting.push(item);
  pump();
}

function refuse(path: string, reason: string): void {
  problems.push({ id: (lastId += 1), file: new File([], path), path, sent: 0, state: "refused", reason });
  totals.refused += 1;
}

function pump(): void {
  while (sending.size < PARALLEL) {
    const next = waiting[head];
    if (!next) {
      waiting = [];
      head = 0;
      return;
    }
    head += 1;
    const item = shallowReactive(next);
    sending.set(item.id, item);
    void sendOne(item).then((outcome) => {
      finish(item, outcome);
      pump();
    });
  }
}

async function sendOne(item: Item): Promise<Outcome | "cancelled"> {
  item.state = "sending";
  if (item.file.size === 0) return { fate: "refused", stored: 0, known: 0, studies: [], reason: "The file is empty." };
  for (let attempt = 1; ; attempt += 1) {
    const outcome = isCancelled ? "cancelled" : await post(item);
    if (outcome === "cancelled" || outcome.fate !== "failed" || attempt === TRIES) return outcome;
    await new Promise((resolve) => setTimeout(resolve, 1000 * attempt));
  }
}

/** `XMLHttpRequest`, because `fetch` does not tell how much has been sent. */
function post(item: Item): Promise<Outcome | "cancelled"> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    requests.set(item.id, request);
    request.open("POST", apiUrl("instances"));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded }) => (item.sent = loaded);
    request.onloadend = () => resolve(outcomeOf(request.status, request.responseText));
    request.onabort = () => resolve("cancelled");
    request.send(item.file);
  });
}

function finish(item: Item, outcome: Outcome | "cancelled"): void {
  sending.delete(item.id);
  requests.delete(item.id);
  item.sent = item.file.size;
  totals.doneFiles += 1;
  totals.doneBytes += item.file.size;
  if (outcome === "cancelled") {
    item.state = "cancelled";
    return;
  }
  item.state = outcome.fate;
  item.reason = outcome.reason;
  totals.stored += outcome.stored;
  totals.known += outcome.known;
  if (outcome.fate === "refused") totals.refused += 1;
  if (outcome.fate === "failed") totals.failed += 1;
  if (outcome.reason) problems.push(item);
  for (const id of outcome.studies) void note(id);
}

const pending = new Set<string>();

/** Remember a study that came in, and read it again at most once a second while its files arrive. */
async function note(id: string): Promise<void> {
  if (!studies.has(id)) studies.set(id, null);
  if (pending.has(id)) return;
  pending.add(id);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  pending.delete(id);
  try {
    studies.set(id, await getStudy(id));
    pollSoon();
  } catch {
    // It may have been deleted meanwhile; its line stays without a description.
  }
}

/** Ask before the page is left while files are on their way. */
export function guardLeaving(): void {
  window.addEventListener("beforeunload", (event) => {
    if (isBusy.value) event.preventDefault();
  });
}
