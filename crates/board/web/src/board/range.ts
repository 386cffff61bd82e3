// A board's time range: how far back its panels look.

import type { Filter } from "../live/perspective";

export const RANGES = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"] as const;

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };
const NAMES: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day" };

/** How long a range such as `15m` is; null where the text is none. */
export function lengthOf(last: string): number | null {
  const parts = /^(\d{1,4})([smhd])$/.exec(last);
  return parts ? Number(parts[1]) * (UNITS[parts[2] ?? ""] ?? 0) : null;
}

export function rangeLabel(range: { last: string } | null): string {
  const parts = range && /^(\d{1,4})([smhd])$/.exec(range.last);
  if (!parts) return "All time";
  const n = Number(parts[1]);
  const unit = NAMES[parts[2] ?? ""];
  return n === 1 ? `Last ${unit}` : `Last ${n} ${unit}s`;
}

/** How often the start of a range moves on: often enough to be seen, seldom enough to be cheap. */
export function stepOf(length: number): number {
  return Math.min(60_000, Math.max(2_000, length / 60));
}

export function rangeFilters(range: { last: string } | null, now: number): Filter[] {
  const length = range && lengthOf(range.last);
  return length ? [["timestamp", ">=", now - length]] : [];
}
