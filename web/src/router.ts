/** Addresses of the pages: a small history router, for six kinds of address do not need a library. */

import { shallowRef } from "vue";
import { appRoot } from "./site";

export type Route =
  | { name: "studies" | "queues"; search: string }
  | { name: "study" | "series" | "instance"; id: string; search: string }
  | { name: "unknown"; search: string };

const RESOURCES: Record<string, "study" | "series" | "instance"> = {
  studies: "study",
  study: "study",
  series: "series",
  instances: "instance",
  instance: "instance",
};

/** Read an address relative to the page's root, e.g. `series/1234?image=3`. */
export function parse(path: string, search: string): Route {
  const [head = "", id = "", ...rest] = path.split("/").filter(Boolean);
  const resource = RESOURCES[head];
  if (resource && id && rest.length === 0) return { name: resource, id: decodeURIComponent(id), search };
  if (!head || head === "index.html" || head === "filtered-studies") return { name: "studies", search };
  if (head === "queues" && !id) return { name: "queues", search };
  return { name: "unknown", search };
}

/**
 * The address that replaces one of the older kinds, kept in hashes: `#/filtered-studies?PatientID=…` and
 * `#study?uuid=…`; empty when the hash is not one of them.
 */
export function fromHash(hash: string): string {
  const legacy = /^#(study|series|instance)\?uuid=([0-9a-f-]+)/.exec(hash);
  if (legacy) return `${legacy[1] === "study" ? "studies" : legacy[1] === "series" ? "series" : "instances"}/${legacy[2]}`;
  const list = /^#\/filtered-studies(\?.*)?$/.exec(hash);
  return list ? `filtered-studies${list[1] ?? ""}` : "";
}

function current(): Route {
  const { pathname, search } = window.location;
  return parse(pathname.slice(new URL(appRoot).pathname.length), search);
}

export const route = shallowRef<Route>({ name: "studies", search: "" });

/** Where the study list was left, filters included: what "Studies" leads back to. */
export const listPath = shallowRef("");

function arrive(): void {
  route.value = current();
  if (route.value.name === "studies") listPath.value = route.value.search && `filtered-studies${route.value.search}`;
}

export function href(path: string): string {
  return new URL(path, appRoot).href;
}

/** Go to an address relative to the page's root. */
export function navigate(path: string, options: { replace?: boolean } = {}): void {
  const address = path === "" ? appRoot : href(path);
  if (options.replace) window.history.replaceState(null, "", address);
  else if (address !== window.location.href) window.history.pushState(null, "", address);
  arrive();
}

/** Follow the browser's own back and forward, and open what an old link names. */
export function start(): void {
  const old = fromHash(window.location.hash);
  if (old) navigate(old, { replace: true });
  window.addEventListener("popstate", arrive);
  window.addEventListener("hashchange", () => {
    const target = fromHash(window.location.hash);
    if (target) navigate(target, { replace: true });
  });
  arrive();
}
