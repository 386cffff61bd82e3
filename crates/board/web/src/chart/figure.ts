// The content of a chart: its data, kind, axes and units. The drawing and the tooltip are made from it.

import { PREDICTION, TRUTH } from "../board/roles";
import type { ViewerConfig } from "../live/perspective";
import { smoothed } from "../runs/curves";
import { type Unit, unitOf } from "../unit";
import { type ChartData, filled, type Groups, keyText, type Series, stepOfCut, timeCut } from "./data";
import type { ChartKind } from "./kinds";

export interface Figure {
  kind: ChartKind;
  data: ChartData;
  groups: Groups;
  /** The column by which the view is split. */
  split: string | null;
  /** The size of a bucket of time in milliseconds; null if the axis is not time. */
  step: number | null;
  /** The span of the axis of time, or of another continuous axis. */
  span: [number, number] | null;
  /** Whether the axis is time. */
  isTime: boolean;
  /** The texts of the groups; empty on an axis of time. */
  labels: string[];
  /** For a heat map, the texts of the columns. */
  across: string[];
  /** Whether a heat map compares predictions with the truth. */
  isConfusion: boolean;
  isLog: boolean;
  /** The rolling mean of a single line with many points. */
  mean: RollingMean | null;
  /** The smoothed series of curves. */
  smoothed: (number | null)[][] | null;
  units: (Unit | null)[];
}

/** A ratio of the greatest to the least value from which lines have a logarithmic axis. */
const LOG_RATIO = 100;

/** How many groups bars show, by the room they have. */
const BAR_PX = 18;

export interface RollingMean {
  values: (number | null)[];
  /** Over how many groups. */
  over: number;
}

/** A line with fewer points has no rolling mean. */
const FEW_POINTS = 30;

/** A rolling mean is over one of how many points. */
const MEAN_SHARE = 12;

/** Returns the mean of each value and those before it; null for few values. */
export function rollingMean(values: (number | null)[]): RollingMean | null {
  if (values.filter((value) => value !== null).length < FEW_POINTS) return null;
  const over = Math.max(5, Math.round(values.length / MEAN_SHARE));
  const mean = values.map((value, i) => {
    if (value === null) return null;
    const there = values.slice(Math.max(0, i - over + 1), i + 1).filter((it) => it !== null);
    return there.reduce((sum, it) => sum + it, 0) / there.length;
  });
  return { values: mean, over };
}

export function figureOf(
  kind: ChartKind,
  config: ViewerConfig,
  raw: ChartData,
  groups: Groups,
  extent: [number, number] | null,
  height: number,
): Figure {
  const split = config.split_by?.[0] ?? null;
  const cut = timeCut(groups);
  const [name = ""] = groups.names;
  const isOwnTime = groups.names.length === 1 && groups.shapes.get(name)?.isTime === true;
  const isTime = kind !== "heat" && kind !== "scatter" && (cut !== null || isOwnTime) && kind !== "rows";
  const isContinuous = isTime || raw.curves !== undefined;
  const data = isContinuous || kind === "heat" ? raw : kind === "rows" ? cutTo(raw, Math.max(3, Math.floor((height - 30) / BAR_PX))) : filled(raw, groups, kind === "bars" ? 0 : null);
  const step = isContinuous ? (cut ? stepOfCut(cut) : 0) : null;
  const times = isContinuous ? data.keys.map(([key]) => Number(key)).filter(Number.isFinite) : [];
  const own: [number, number] = [Math.min(...times), Math.max(...times) + (step ?? 0)];
  const span = !isContinuous || times.length === 0 ? null : (extent ?? own);
  const smoothing = raw.curves?.smoothing ?? 0;
  const isConfusion = kind === "heat" && split !== null && isPair(name, split);
  const figure: Figure = {
    kind,
    data,
    groups,
    split,
    step,
    span,
    isTime,
    labels: isContinuous ? [] : data.keys.map((key) => labelOf(key, groups)),
    across: kind === "heat" ? data.series.map((it) => it.name) : [],
    isConfusion,
    isLog: raw.curves ? raw.curves.isLog : kind === "lines" && isWide(data.series),
    mean: kind === "lines" && data.series.length === 1 && !raw.curves ? rollingMean(data.series[0]?.values ?? []) : null,
    smoothed: smoothing > 0 ? data.series.map(({ values }) => smoothed(times, values, smoothing)) : null,
    units: data.series.map((it) => unitOfSeries(it, config)),
  };
  return isConfusion ? squared(figure) : figure;
}

function labelOf(key: unknown[], { names, cuts, shapes }: Groups): string {
  const parts = key.map((part, i) => {
    const name = names[i] ?? "";
    return keyText(part, cuts[name], cuts[name]?.bucket.kind === "time" || shapes.get(name)?.isTime === true);
  });
  return parts.join(" / ");
}

function cutTo(data: ChartData, most: number): ChartData {
  if (data.keys.length <= most) return data;
  const series = data.series.map((it) => ({ ...it, values: it.values.slice(0, most) }));
  return { ...data, keys: data.keys.slice(0, most), series };
}

function isWide(series: Series[]): boolean {
  let [low, high] = [Infinity, 0];
  for (const { values } of series) {
    for (const value of values) {
      if (value === null) continue;
      if (value <= 0) return false;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return high / low > LOG_RATIO;
}

/** Aggregates whose results have no unit. */
const UNITLESS = new Set(["count", "distinct count", "var", "unique"]);

export function unitOfSeries({ column }: { column: string }, { aggregates = {}, expressions = {}, group_by = [] }: ViewerConfig): Unit | null {
  const how = aggregates[column];
  if (group_by.length > 0 && UNITLESS.has(String(Array.isArray(how) ? how[0] : how))) return null;
  const expression = expressions[column];
  const own = unitOf(column);
  if (own !== null || expression === undefined) return own;
  const names = [...expression.matchAll(/"((?:[^"]|"")+)"/g)];
  const isPlain = !/[-+*/]|CASE|[<>=]/.test(expression.replace(/"(?:[^"]|"")+"/g, ""));
  return names.length === 1 && isPlain ? unitOf((names[0]?.[1] ?? "").replaceAll('""', '"')) : null;
}

function isPair(a: string, b: string): boolean {
  return (PREDICTION.test(a) && TRUTH.test(b)) || (TRUTH.test(a) && PREDICTION.test(b));
}

/** The most classes for which a matrix shows those that only one of the two columns has. */
const MOST_CLASSES = 60;

/** Gives a confusion matrix the same classes, in the same order, on both sides. */
function squared(figure: Figure): Figure {
  const { data, labels, across } = figure;
  const names = [...new Set([...labels, ...across])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  if (names.length > MOST_CLASSES) return figure;
  const rowOf = new Map(labels.map((label, i) => [label, i]));
  const [first] = data.series;
  if (!first) return figure;
  const keys = names.map((name) => data.keys[rowOf.get(name) ?? -1] ?? [keyFrom(name, data.keys)]);
  const series = names.map((name) => {
    const found = data.series.find((it) => it.name === name);
    const values = names.map((row) => found?.values[rowOf.get(row) ?? -1] ?? null);
    return { name, column: first.column, split: found?.split ?? name, values };
  });
  return { ...figure, data: { ...data, keys, series }, labels: names, across: names, units: names.map(() => null) };
}

/** Reads a class from its text as the kind that the other classes have. */
function keyFrom(text: string, keys: unknown[][]): unknown {
  const isNumber = keys.every(([key]) => typeof key === "number");
  return isNumber && text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Where a mark of a time axis is drawn: the middle of its bucket. */
export function middle(figure: Figure, index: number): number {
  return Number(figure.data.keys[index]?.[0]) + (figure.step ?? 0) / 2;
}

/** Returns the sum of a row of a heat map. */
export function rowTotal({ data }: Figure, row: number): number {
  return data.series.reduce((sum, it) => sum + (it.values[row] ?? 0), 0);
}
