/** Ranges of dates as DICOM writes them, PS3.4 C.2.2.2.5: `20240101-20240131`, `20240101-`, `-20240131`. */

export interface DateRange {
  /** `YYYY-MM-DD`, or empty for open. */
  from: string;
  to: string;
}

const toIso = (text: string) => (/^\d{8}$/.test(text) ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : "");
const toDicom = (text: string) => text.replaceAll("-", "");

export function parseRange(value: string): DateRange {
  if (!value.includes("-")) return { from: toIso(value), to: toIso(value) };
  const [from = "", to = ""] = value.split("-");
  return { from: toIso(from), to: toIso(to) };
}

export function formatRange({ from, to }: DateRange): string {
  if (!from && !to) return "";
  return from === to ? toDicom(from) : `${toDicom(from)}-${toDicom(to)}`;
}

/** A range as the reader sees it in a narrow field. */
export function describeRange(value: string): string {
  const { from, to } = parseRange(value);
  if (!from && !to) return "";
  if (from === to) return from;
  if (!to) return `from ${from}`;
  return from ? `${from} – ${to}` : `until ${to}`;
}

function iso(date: Date): string {
  const pad = (n: number) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** The usual choices, counted from a given day; weeks begin on Monday. */
export function shortcuts(today: Date): { label: string; range: DateRange }[] {
  const day = (offset: number) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + offset);
  const monday = -((today.getDay() + 6) % 7);
  const first = (months: number) => new Date(today.getFullYear(), today.getMonth() + months, 1);
  const last = (months: number) => new Date(today.getFullYear(), today.getMonth() + months + 1, 0);
  const range = (from: Date, to: Date): DateRange => ({ from: iso(from), to: iso(to) });
  return [
    { label: "Today", range: range(day(0), day(0)) },
    { label: "Yesterday", range: range(day(-1), day(-1)) },
    { label: "This week", range: range(day(monday), day(0)) },
    { label: "Last week", range: range(day(monday - 7), day(monday - 1)) },
    { label: "This month", range: range(first(0), day(0)) },
    { label: "Last month", range: range(first(-1), last(-1)) },
    {
      label: "Last 12 months",
      range: range(new Date(today.getFullYear() - 1, today.getMonth(), today.getDate()), day(0)),
    },
  ];
}
