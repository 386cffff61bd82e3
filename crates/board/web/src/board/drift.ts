// How much the distribution of a column differs from that of earlier rows.

import type { ChartData } from "../chart/data";

/** How many rows at the beginning of a table are the reference, unless the panel says so. */
export const FIRST_ROWS = 1_000;

/** The most values of a column of texts that are drawn. */
const MOST_VALUES = 12;

/** The names of the two distributions. */
export const [NOW, BEFORE] = ["now", "before"];

/** Below and above these, distributions count as alike and as different. */
const LEVELS = [0.1, 0.25] as const;

export interface Drift {
  /** The population stability index; null if one of the two has no rows. */
  psi: number | null;
  /** How many rows each distribution has. */
  rows: { now: number; before: number };
  /** The shares of the groups in per cent. */
  data: ChartData;
}

/**
 * Compares the counts of the groups of two views. `order` returns where a group is on the axis; null sorts groups
 * by how many rows they have.
 */
export function driftOf(now: ChartData, before: ChartData, order: ((key: unknown) => number) | null): Drift {
  const counts = new Map<string, { key: unknown[]; now: number; before: number }>();
  for (const [name, { keys, series }] of [["now", now], ["before", before]] as const) {
    for (const [i, key] of keys.entries()) {
      const id = JSON.stringify(key);
      const found = counts.get(id) ?? { key, now: 0, before: 0 };
      found[name] += series[0]?.values[i] ?? 0;
      counts.set(id, found);
    }
  }
  const all = [...counts.values()];
  const sum = (name: "now" | "before") => all.reduce((sum, it) => sum + it[name], 0);
  const rows = { now: sum("now"), before: sum("before") };
  const place = (key: unknown[]) => (key[0] === null ? Infinity : (order?.(key[0]) ?? 0));
  all.sort((a, b) => (order ? place(a.key) - place(b.key) : b.now + b.before - a.now - a.before));
  const shown = order ? all : all.slice(0, MOST_VALUES);
  const shares = (name: "now" | "before") => shown.map((it) => (rows[name] > 0 ? (100 * it[name]) / rows[name] : 0));
  const series = [
    { name: NOW, column: "share_pct", split: null, values: shares("now") },
    { name: BEFORE, column: "share_pct", split: null, values: shares("before") },
  ] as ChartData["series"];
  return {
    psi: rows.now > 0 && rows.before > 0 ? stabilityIndex(all.map((it) => it.now), all.map((it) => it.before)) : null,
    rows,
    data: { keys: shown.map((it) => it.key), series, rows: all.length, every: 1, isLaidOver: true },
  };
}

/** Returns the population stability index of two distributions; a group without rows counts as half a row. */
export function stabilityIndex(now: number[], before: number[]): number {
  const shares = (counts: number[]) => {
    const total = counts.reduce((sum, it) => sum + it, 0) + counts.length / 2;
    return counts.map((it) => (it + 0.5) / total);
  };
  const [a, b] = [shares(now), shares(before)];
  return a.reduce((sum, share, i) => sum + (share - (b[i] as number)) * Math.log(share / (b[i] as number)), 0);
}

export type DriftLevel = "good" | "warn" | "bad";

export function levelOf(psi: number): DriftLevel {
  return psi < LEVELS[0] ? "good" : psi < LEVELS[1] ? "warn" : "bad";
}
