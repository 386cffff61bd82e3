// The curves of metrics: each run's means of a metric, put on a common axis.

import type { ChartData, CurveStyle } from "../chart/data";
import { visible } from "../values";

/** The points of one metric of one run, in the order of `x`. */
export interface Points {
  x: number[];
  y: number[];
}

export interface Curve {
  name: string;
  points: Points;
}

/** Puts the curves of a metric on a common axis. */
export function curvesOf(metric: string, curves: Curve[], style: CurveStyle): ChartData {
  const places = [...new Set(curves.flatMap(({ points }) => points.x))].sort((a, b) => a - b);
  const series = curves.map(({ name, points }) => {
    const at = new Map(points.x.map((x, i) => [x, points.y[i] ?? null]));
    const values = places.map((x) => at.get(x) ?? null);
    return { name: visible(name), column: metric, split: curves.length > 1 ? name : null, values };
  });
  return { keys: places.map((x) => [x]), series, rows: places.length, every: 1, curves: style };
}

/** How many steps of smoothing an axis has: points that are far apart are hardly smoothed. */
const AXIS_LENGTH = 1_000;

/**
 * Returns the exponential moving average of values at places on an axis. How much a value forgets of those before it
 * follows its distance from them, so that a metric that is logged rarely is not smoothed more than one that is logged
 * often. The first value has no head start.
 */
export function smoothed(places: number[], values: (number | null)[], smoothing: number): (number | null)[] {
  const length = (places.at(-1) ?? 0) - (places[0] ?? 0) || 1;
  const weight = Math.sqrt(smoothing);
  let [sum, count] = [0, 0];
  let before = places[0] ?? 0;
  return values.map((value, i) => {
    if (value === null) return null;
    const place = places[i] ?? before;
    const kept = weight ** (((place - before) / length) * AXIS_LENGTH);
    [sum, count, before] = [sum * kept + value, count * kept + 1, place];
    return sum / count;
  });
}
