/** The studies on the page: loaded a page at a time, and kept up to date with the server. */

import { ref, shallowRef } from "vue";
import { isAborted, messageOf } from "../api/errors";
import { countStudies, findStudies } from "../api/resources";
import type { Change, Study } from "../api/types";
import { isNewestFirst, toQuery, type Filters } from "./filters";

const PAGE = 50;
/** Above this many rows a refresh would cost more than it tells. */
const MAX_REFRESH = 300;

/** Changes that alter what the list shows; the counts that new instances alter may lag behind. */
const TELLING = new Set(["NewStudy", "NewSeries", "StableStudy", "Deleted"]);
const LAG_MS = 5_000;

export function useStudyList() {
  const studies = shallowRef<Study[]>([]);
  const state = ref<"loading" | "ready" | "more" | "error">("loading");
  const error = ref("");
  const isComplete = ref(false);
  /** How many match, when that is known. */
  const count = ref<number>();
  /** Public ids of studies that came while the list was shown. */
  const fresh = ref(new Set<string>());
  let filters: Filters = { tags: {}, order: [] };
  let abort = new AbortController();

  async function search(next: Filters): Promise<void> {
    filters = next;
    abort.abort();
    abort = new AbortController();
    const { signal } = abort;
    state.value = "loading";
    fresh.value = new Set();
    count.value = undefined;
    try {
      const found = await findStudies(filters, 0, PAGE, signal);
      studies.value = found;
      isComplete.value = found.length < PAGE;
      state.value = "ready";
      await recount(signal);
    } catch (problem) {
      // Rows of another search under these filters would be taken for what was found.
      if (!isAborted(problem)) studies.value = [];
      fail(problem);
    }
  }

  async function recount(signal: AbortSignal): Promise<void> {
    if (isComplete.value) count.value = studies.value.length;
    else if (Object.keys(toQuery(filters)).length > 0) {
      // Not every constraint can be counted, and the list does without.
      count.value = await countStudies(filters, signal).catch(() => undefined);
    }
  }

  async function more(): Promise<void> {
    if (state.value !== "ready" || isComplete.value) return;
    state.value = "more";
    const { signal } = abort;
    try {
      const found = await findStudies(filters, studies.value.length, PAGE, signal);
      const known = new Set(studies.value.map(({ ID }) => ID));
      studies.value = [...studies.value, ...found.filter(({ ID }) => !known.has(ID))];
      isComplete.value = found.length < PAGE;
      state.value = "ready";
    } catch (problem) {
      fail(problem);
    }
  }

  let refreshed = 0;
  let timer = 0;

  function heed(changes: Change[]): void {
    window.clearTimeout(timer);
    const isTelling = changes.some(({ ChangeType }) => TELLING.has(ChangeType));
    const wait = isTelling ? 0 : Math.max(0, refreshed + LAG_MS - Date.now());
    timer = window.setTimeout(refresh, wait);
  }

  /** Read again what is shown, without letting the reader wait or lose their place. */
  async function refresh(): Promise<void> {
    if (state.value !== "ready" || studies.value.length > MAX_REFRESH) return;
    refreshed = Date.now();
    const { signal } = abort;
    const limit = Math.max(PAGE, studies.value.length);
    try {
      const found = await findStudies(filters, 0, limit, signal);
      if (signal.aborted || state.value !== "ready") return;
      const known = new Set(studies.value.map(({ ID }) => ID));
      if (isNewestFirst(filters.order)) {
        fresh.value = new Set([...fresh.value, ...found.filter(({ ID }) => !known.has(ID)).map(({ ID }) => ID)]);
      }
      studies.value = found;
      isComplete.value = found.length < limit;
      await recount(signal);
    } catch (problem) {
      if (!isAborted(problem)) return; // The next change brings another try; what is shown still holds.
    }
  }

  function fail(problem: unknown): void {
    if (isAborted(problem)) return;
    error.value = messageOf(problem);
    state.value = "error";
  }

  return { studies, state, error, isComplete, count, fresh, search, more, refresh, heed };
}
