/** The tags of an instance as the rows of a table, sequences unfolded. */

import type { FullTags } from "../api/types";

export interface Row {
  key: string;
  /** `0010,0010`; that of the sequence for its items. */
  tag: string;
  name: string;
  value: string;
  /** Said in place of a value that cannot be shown. */
  note: string;
  isItem: boolean;
  isOpenable: boolean;
  /** Keys of the rows this one is inside of, the outermost first. */
  parents: string[];
}

const NOTES: Record<string, string> = {
  TooLong: "too long to be shown",
  Binary: "binary",
  Null: "no text value",
  None: "no value",
};

export function flatten(tags: FullTags, parents: string[] = [], prefix = ""): Row[] {
  return Object.entries(tags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([tag, { Name, PrivateCreator, Type, Value }]) => {
      const key = prefix + tag;
      const name = PrivateCreator ? `${Name} [${PrivateCreator}]` : Name;
      const row: Row = { key, tag, name, value: "", note: NOTES[Type] ?? "", isItem: false, isOpenable: false, parents };
      if (!Array.isArray(Value)) return [{ ...row, value: Value ?? "", note: Value ? "" : row.note }];
      const items = Value.flatMap((item, i) => {
        const itemKey = `${key}[${i}]`;
        const itemRow: Row = { ...row, key: itemKey, name: `Item ${i + 1}`, isItem: true, isOpenable: true, parents: [...parents, key] };
        return [itemRow, ...flatten(item, [...parents, key, itemKey], `${itemKey}/`)];
      });
      const note = Value.length === 1 ? "1 item" : `${Value.length} items`;
      return [{ ...row, note, isOpenable: Value.length > 0 }, ...items];
    });
}

/** Rows whose name, number or value contains a text, with the rows they are inside of. */
export function matching(rows: Row[], text: string): Row[] {
  const wanted = text.trim().toLowerCase();
  const bare = wanted.replace(/[(),\s]/g, "");
  const isNumber = /^[0-9a-f]{4,8}$/.test(bare);
  const keys = new Set<string>();
  for (const row of rows) {
    const isFound =
      !row.isItem &&
      (row.name.toLowerCase().includes(wanted) || row.value.toLowerCase().includes(wanted) || (isNumber && row.tag.replace(",", "").includes(bare)));
    if (isFound) for (const key of [row.key, ...row.parents]) keys.add(key);
  }
  return rows.filter(({ key }) => keys.has(key));
}

/** Rows as lines of text, to be pasted elsewhere. */
export function toText(rows: Row[]): string {
  return rows.map(({ tag, name, value, note, isItem, parents }) => `${"  ".repeat(parents.length)}${isItem ? "" : `(${tag}) `}${name}${value || note ? `: ${value || note}` : ""}`).join("\n");
}
