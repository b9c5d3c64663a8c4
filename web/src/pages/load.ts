/** What a page shows while it reads from the server, and when that fails. */

import { onMounted, ref, shallowRef } from "vue";
import { messageOf } from "../api/errors";

export function useLoaded<T>(read: () => Promise<T>) {
  const data = shallowRef<T>();
  const error = ref("");

  async function load(): Promise<void> {
    error.value = "";
    try {
      data.value = await read();
    } catch (problem) {
      error.value = messageOf(problem);
    }
  }

  onMounted(load);
  return { data, error, load };
}
