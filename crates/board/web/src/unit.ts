// Units that the names of columns end with, such as `latency_ms`.

import { formatBytes, formatFloat, formatNumber } from "./values";

export type Unit = "ms" | "s" | "us" | "bytes" | "usd" | "percent";

const ENDINGS: [RegExp, Unit][] = [
  [/(^|_)(ms|millis|milliseconds)$/, "ms"],
  [/(^|_)(us|micros|microseconds)$/, "us"],
  [/(^|_)(s|sec|secs|seconds)$/, "s"],
  [/(^|_)bytes$/, "bytes"],
  [/(^|_)(usd|dollars)$/, "usd"],
  [/(^|_)(pct|percent)$|%$/, "percent"],
];

/** Returns the unit in the name of a column. */
export function unitOf(column: string): Unit | null {
  const name = column.toLowerCase();
  return ENDINGS.find(([ending]) => ending.test(name))?.[1] ?? null;
}

const SUFFIXES: Record<Unit, string> = { ms: " ms", us: " µs", s: " s", bytes: " B", usd: "", percent: " %" };

/** Writes a number with its unit and all digits that a cell shows. */
export function withUnit(value: number, unit: Unit | null): string {
  if (unit === "usd") return `${value < 0 ? "−" : ""}$${formatFloat(Math.abs(value))}`;
  return `${formatFloat(value)}${unit ? SUFFIXES[unit] : ""}`;
}

/** Writes a number with its unit, short: three digits or so, and a larger unit where there is one. */
export function shortWithUnit(value: number, unit: Unit | null): string {
  const size = Math.abs(value);
  if (!unit || !Number.isFinite(value)) return formatNumber(value);
  if (unit === "bytes") return `${value < 0 ? "−" : ""}${formatBytes(size)}`;
  if (unit === "usd") return `${value < 0 ? "−" : ""}$${formatNumber(size)}`;
  if (unit === "ms" && size >= 60_000) return `${formatNumber(value / 60_000)} min`;
  if (unit === "ms" && size >= 1_000) return `${formatNumber(value / 1_000)} s`;
  return `${formatNumber(value)}${SUFFIXES[unit]}`;
}
