// A board's time range.

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
  if (range?.from || range?.to) return `${instant(range.from)} – ${instant(range.to)}`;
  const parts = range?.last && /^(\d{1,4})([smhdw])$/.exec(range.last);
  if (!parts) return "All time";
  const n = Number(parts[1]);
  const unit = NAMES[parts[2] ?? ""];
  return n === 1 ? `Last ${unit}` : `Last ${n} ${unit}s`;
}

function instant(text: string | null | undefined): string {
  const options = { dateStyle: "short", timeStyle: "short" } as const;
  return text ? new Date(text).toLocaleString(undefined, options) : "";
}

/** Returns the time between two updates of the start of a range. */
export function stepOf(length: number): number {
  return Math.min(60_000, Math.max(2_000, length / 60));
}

export function rangeFilters(range: Range | null, now: number): Filter[] {
  const filters: Filter[] = [];
  const length = range?.last ? lengthOf(range.last) : null;
  if (length) filters.push(["timestamp", ">=", now - length]);
  if (range?.from) filters.push(["timestamp", ">=", Date.parse(range.from)]);
  if (range?.to) filters.push(["timestamp", "<=", Date.parse(range.to)]);
  return filters;
}
