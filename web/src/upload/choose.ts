/** The browser's own picker of files or of a folder. */

import { add } from "./queue";

export function choose(what: "files" | "folder"): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.webkitdirectory = what === "folder";
  input.addEventListener("change", () => void add([...(input.files ?? [])]));
  input.click();
}
