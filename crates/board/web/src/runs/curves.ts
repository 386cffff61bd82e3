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

/** Returns the exponential moving average of values: the first value has no head start. */
export function smoothed(values: (number | null)[], weight: number): (number | null)[] {
  let [mean, sum] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    mean = mean * weight + value * (1 - weight);
    sum = sum * weight + (1 - weight);
    return mean / sum;
  });
}
