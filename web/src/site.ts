/**
 * Where the pages and the server live.
 *
 * The server writes the depth of the address into `<base>` as a relative path, so the pages work under any
 * prefix a reverse proxy strips. A relative base moves when the address changes, hence it is fixed here once.
 */

const element = document.querySelector("base");
const fixed = document.baseURI;
if (element) element.href = fixed;

/** Address of the page's root, ending with a slash: `https://host/prefix/ui/app/`. */
export const appRoot = new URL(".", fixed).href;

/** Address of the REST API's root, ending with a slash: `https://host/prefix/`. */
export const apiRoot = new URL("../../", appRoot).href;

/** Absolute address of a REST path such as `studies/1234`. */
export function apiUrl(path: string): string {
  return new URL(path.replace(/^\/+/, ""), apiRoot).href;
}
