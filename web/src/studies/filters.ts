/** What the reader asks of the study list: kept in the address, and turned into a query of `/tools/find`. */

export const TEXT_COLUMNS = ["PatientName", "PatientID", "StudyDescription", "AccessionNumber"] as const;
export const DATE_COLUMNS = ["PatientBirthDate", "StudyDate"] as const;
export type TextColumn = (typeof TEXT_COLUMNS)[number];
export type DateColumn = (typeof DATE_COLUMNS)[number];

export const MODALITIES =
  "CR CT DOC DR DX KO MG MR NM OT PR PT PX RTDOSE RTSTRUCT RTPLAN SEG SR US XA XC".split(" ");

/** Characters below which a text field is not searched, unless it is between quotes. */
export const MIN_CHARACTERS = 3;

export interface Ordering {
  Type: string;
  Key: string;
  Direction: "ASC" | "DESC";
}

export interface Filters {
  /** Tag to text as typed (quotes included), DICOM date range, or list of modalities joined by backslashes. */
  tags: Record<string, string>;
  order: Ordering[];
}

export const NEWEST_FIRST: Ordering[] = [{ Type: "Metadata", Key: "LastUpdate", Direction: "DESC" }];

export function isNewestFirst(order: Ordering[]): boolean {
  return order.length === 1 && order[0]!.Key === "LastUpdate" && order[0]!.Direction === "DESC";
}

/** Whether a text is too short to be searched while it is being typed. */
export function isTooShort(text: string): boolean {
  const bare = text.trim();
  if (bare === "" || (bare.length > 1 && bare.startsWith('"') && bare.endsWith('"'))) return false;
  return bare.replaceAll('"', "").length < MIN_CHARACTERS;
}

/**
 * Put wildcards around a typed text: `abc` is found anywhere, `"abc` at the start, `abc"` at the end, and
 * `"abc"` as the whole value. A comma in a name, as the page shows it, stands for the caret of DICOM.
 */
export function toWildcards(text: string, isName = false): string {
  const typed = text.trim();
  const atStart = typed.startsWith('"');
  const atEnd = typed.length > 1 && typed.endsWith('"');
  let bare = typed.slice(atStart ? 1 : 0, atEnd ? -1 : undefined).trim();
  if (bare === "") return "";
  if (isName) bare = bare.replace(/\s*,\s*/g, atStart && atEnd ? "^" : "*^*");
  return `${atStart ? "" : "*"}${bare}${atEnd ? "" : "*"}`.replace(/\*{2,}/g, "*");
}

/** The `Query` of `/tools/find`. */
export function toQuery(filters: Filters): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [tag, value] of Object.entries(filters.tags)) {
    const isVerbatim = /(Date|Time|UID|ModalitiesInStudy)$/.test(tag);
    const constraint = isVerbatim ? value.replaceAll('"', "").trim() : toWildcards(value, tag === "PatientName");
    if (constraint !== "") query[tag] = constraint;
  }
  return query;
}

/** Read the filters of an address: parameters that begin with a capital are DICOM tags. */
export function fromAddress(search: string): Filters {
  const filters: Filters = { tags: {}, order: NEWEST_FIRST };
  for (const [key, value] of new URLSearchParams(search)) {
    if (/^[A-Z]/.test(key) && value !== "") filters.tags[key] = value;
    if (key === "order-by") filters.order = parseOrder(value) ?? NEWEST_FIRST;
  }
  return filters;
}

function parseOrder(text: string): Ordering[] | undefined {
  const order = text.split(";").map((part) => part.split(","));
  if (!order.every(([type, key, direction]) => type && key && /^(ASC|DESC)$/.test(direction ?? ""))) return undefined;
  return order.map(([Type, Key, Direction]) => ({ Type: Type!, Key: Key!, Direction: Direction as "ASC" | "DESC" }));
}

/** The address of a list with these filters, relative to the page's root. */
export function toAddress(filters: Filters): string {
  const search = new URLSearchParams(Object.entries(filters.tags).filter(([, value]) => value !== ""));
  if (!isNewestFirst(filters.order)) {
    search.set("order-by", filters.order.map((o) => `${o.Type},${o.Key},${o.Direction}`).join(";"));
  }
  const text = search.toString();
  return text ? `filtered-studies?${text}` : "";
}

/** What a click on a column's title asks for: that column upwards, then downwards, then the newest first again. */
export function nextOrder(order: Ordering[], column: string): Ordering[] {
  const startsDown = column === "StudyDate";
  const first = startsDown ? "DESC" : "ASC";
  const second = startsDown ? "ASC" : "DESC";
  const now = order[0]?.Key === column ? order[0].Direction : undefined;
  if (now === second) return NEWEST_FIRST;
  const Direction = now === first ? second : first;
  const by = (Key: string): Ordering => ({ Type: "DicomTag", Key, Direction });
  return column === "StudyDate" ? [by("StudyDate"), by("StudyTime")] : [by(column)];
}
