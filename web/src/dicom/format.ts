/** DICOM values as people read them. */

/** What is between the values of one attribute; in ISO_IR 13 texts the backslash's place is that of the yen sign. */
export const SEPARATOR = /[\\¥]/;

/** `20060131` as `2006-01-31`; anything else as it is, for a strange value is better seen than hidden. */
export function formatDate(value: string | null | undefined): string {
  const text = (value ?? "").trim();
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(text);
  return match ? `${match[1]}-${match[2]}-${match[3]}` : text;
}

/** `101112.5` as `10:11`. */
export function formatTime(value: string | null | undefined): string {
  const text = (value ?? "").trim();
  const match = /^(\d{2}):?(\d{2})/.exec(text);
  return match ? `${match[1]}:${match[2]}` : text;
}

/**
 * A person name as `FAMILY, Given Middle`, PS3.5 6.2.1: of the three component groups the first that is not
 * empty, then the others between brackets.
 */
export function formatName(value: string | null | undefined): string {
  const groups = (value ?? "").split("=").map(formatGroup).filter(Boolean);
  const [first = "", ...others] = groups;
  return others.length > 0 ? `${first} (${others.join(", ")})` : first;
}

function formatGroup(group: string): string {
  const [family = "", given = "", middle = "", prefix = "", suffix = ""] = group.split("^").map((part) => part.trim());
  const rest = [prefix, given, middle].filter(Boolean).map(capitalise).join(" ");
  const name = [family.toUpperCase(), rest].filter(Boolean).join(", ");
  return suffix ? `${name}, ${suffix}` : name;
}

/** `ANNE-MARIE` as `Anne-Marie`; mixed case is the writer's own and stays. */
function capitalise(text: string): string {
  if (text !== text.toUpperCase() || text.length < 3) return text;
  return text.toLowerCase().replace(/(^|[\s\-'.])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase());
}

/** A description as DICOM writes it, with carets between parts, as a line of text. */
export function formatText(value: string | null | undefined): string {
  return (value ?? "").replace(/\^+/g, " ").replace(/\s+/g, " ").trim();
}

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** A size in bytes with three digits at most, in powers of 1000. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toPrecision(2))} ${UNITS[unit]}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString("en").replaceAll(",", " ");
}

/** `1 series`, `2 instances`: a number with its noun. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Whole years between a birth date and another date, or an empty string. */
export function ageAt(birth: string | undefined, date: string | undefined): string {
  const [from, to] = [birth ?? "", date ?? ""];
  if (!/^\d{8}$/.test(from) || !/^\d{8}$/.test(to)) return "";
  const years = Math.floor((Number(to) - Number(from)) / 10000);
  return years >= 0 && years < 130 ? `${years} y` : "";
}
