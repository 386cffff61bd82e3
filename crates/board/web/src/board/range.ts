// A board's time range.

import { instantText } from "../chart/time";
import type { Range } from "./document";
import type { Filter } from "../live/perspective";

export const RANGES = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"] as const;

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3, w: 604_800e3 };
const NAMES: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** Returns the length of a range such as `15m`; null for other texts. */
export function lengthOf(last: string): number | null {
  const parts = /^(\d{1,4})([smhdw])$/.exec(last);
  return parts ? Number(parts[1]) * (UNITS[parts[2] ?? ""] ?? 0) : null;
}

export function rangeLabel(range: Range | null): string {
  if (range?.from && range.to) {
    const [from, to] = [Date.parse(range.from), Date.parse(range.to)];
    return `${instantText(from)} – ${instantText(to, from)}`;
  }
  if (range?.from) return `Since ${instantText(Date.parse(range.from))}`;
  if (range?.to) return `Until ${instantText(Date.parse(range.to))}`;
  const parts = range?.last && /^(\d{1,4})([smhdw])$/.exec(range.last);
  if (!parts) return "All time";
  const n = Number(parts[1]);
  const unit = NAMES[parts[2] ?? ""];
  return n === 1 ? `Last ${unit}` : `Last ${n} ${unit}s`;
}

/** Returns the time between two updates of the start of a range. */
export function stepOf(length: number): number {
  return Math.min(60_000, Math.max(2_000, length / 60));
}

/** Returns the conditions of a range on the column with the rows' times. */
export function rangeFilters(range: Range | null, now: number, time: string): Filter[] {
  const filters: Filter[] = [];
  const length = range?.last ? lengthOf(range.last) : null;
  if (length) filters.push([time, ">=", now - length]);
  if (range?.from) filters.push([time, ">=", Date.parse(range.from)]);
  if (range?.to) filters.push([time, "<=", Date.parse(range.to)]);
  return filters;
}

/** Returns the filters of the period of the same length before a range; null if the range has no length. */
export function formerFilters(range: Range | null, now: number, time: string): Filter[] | null {
  const span = rangeSpan(range, now);
  if (!span) return null;
  const [from, to] = [span[0], span[1] ?? (range?.last ? now : null)];
  if (to === null || !(to > from)) return null;
  return [
    [time, ">=", from - (to - from)],
    [time, "<", from],
  ];
}

/** Returns the first and the last millisecond of a range; the end is null if it is now. */
export function rangeSpan(range: Range | null, now: number): [number, number | null] | null {
  const length = range?.last ? lengthOf(range.last) : null;
  if (length) return [now - length, null];
  if (!range?.from) return null;
  return [Date.parse(range.from), range.to ? Date.parse(range.to) : null];
}
