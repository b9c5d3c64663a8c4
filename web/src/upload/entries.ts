/** The files inside what was dropped on the page, folders included. */

/** Files that other programs leave among DICOM files and that nobody means to send. */
const IGNORED = /^(\.DS_Store|Thumbs\.db|desktop\.ini|DICOMDIR|\._.*)$/i;

export function isIgnored(name: string): boolean {
  return IGNORED.test(name);
}

/** Must be called while the drop is being handled: the browser empties the list afterwards. */
export function rootsOf(items: DataTransferItemList): (FileSystemEntry | File)[] {
  return [...items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile())
    .filter((root) => root !== null);
}

/** Every file below the roots, as they are found. */
export async function* walk(roots: (FileSystemEntry | File)[]): AsyncGenerator<File> {
  for (const root of roots) {
    if (root instanceof File) yield root;
    else if (root.isFile) yield await fileOf(root as FileSystemFileEntry);
    else if (root.isDirectory) yield* walk(await childrenOf(root as FileSystemDirectoryEntry));
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A reader gives at most a hundred entries at a time, and an empty list at the end. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    found.push(...some);
  }
}
