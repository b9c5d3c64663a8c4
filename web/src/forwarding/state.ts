/** How a queue is, as people read it. */

import type { Queue } from "../api/types";

/** Whether somebody should look at a queue. */
export function isTroubled({ State, Failed, Held }: Queue): boolean {
  return State === "Retrying" || Failed > 0 || Held > 0;
}

/** `20261120T131512.204118`, in UTC, as date and time of this browser; empty for never. */
export function formatMoment(value: string | null | undefined): string {
  const parts = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})/.exec(value ?? "");
  if (!parts) return "";
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  const moment = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const two = (number: number) => String(number).padStart(2, "0");
  const date = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join("-");
  return `${date} ${[moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":")}`;
}
