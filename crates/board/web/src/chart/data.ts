// The rows of a chart's view, as series of numbers.

import type { Cut } from "../board/buckets";
import type { View, ViewConfig, ViewerConfig } from "../live/perspective";
import { shortWithUnit, unitOf, withUnit } from "../unit";
import { formatFloat, type Shapes, visible } from "../values";
import { instantText } from "./time";

/** Groups beyond these are not drawn. */
export const MOST_GROUPS = 1_000;

/** Scatter charts draw at most this many points; of more rows they draw every n-th. */
export const MOST_POINTS = 20_000;

/** Distributions with more bars than this are not filled up with empty ones. */
const MOST_BARS = 500;

export interface Series {
  /** Its name on the screen. */
  name: string;
  /** The column that it shows. */
  column: string;
  /** The value of the column by which the view is split; null if it is not split. */
  split: string | null;
  values: (number | null)[];
}

export interface ChartData {
  /** The values of the groups, one list for each mark; empty for single points. */
  keys: unknown[][];
  series: Series[];
  /** How many groups or points the view has. */
  rows: number;
  /** One of how many points is drawn. */
  every: number;
  /** Whether the bars of the series are drawn over each other, to compare them; else they are stacked. */
  isLaidOver?: boolean;
  /** Set if the lines are curves over a continuous axis: they go on where a series has no value. */
  curves?: CurveStyle;
}

/** How curves are drawn. */
export interface CurveStyle {
  /** From 0 to below 1; above 0, smoothed lines are drawn over the faint originals. */
  smoothing: number;
  isLog: boolean;
}

/** How the groups of a chart are cut and named. */
export interface Groups {
  names: string[];
  cuts: Record<string, Cut>;
  shapes: Shapes;
}

/** Returns the view that a chart reads. */
export function viewOf(config: ViewerConfig): ViewConfig {
  const { columns = [], group_by = [], split_by = [], sort = [], filter = [], expressions = {} } = config;
  const view: ViewConfig = { columns, group_by, split_by, sort, filter, expressions };
  if (config.aggregates) view.aggregates = config.aggregates;
  if (group_by.length > 0) view.group_rollup_mode = "flat";
  return view;
}

/** Reads the groups of a view. */
export async function readGroups(view: View, columns: string[]): Promise<ChartData> {
  const rows = await view.num_rows();
  const text = await view.to_columns_string({ start_row: 0, end_row: Math.min(rows, MOST_GROUPS) });
  const { __ROW_PATH__: keys = [], ...values } = JSON.parse(text) as Record<string, unknown[]>;
  return { keys: keys as unknown[][], series: seriesOf(values, columns), rows, every: 1 };
}

/** Reads single points: the values of each column. */
export async function readPoints(view: View, columns: string[], every: number): Promise<ChartData> {
  const rows = await view.num_rows();
  const text = await view.to_columns_string({ start_row: 0, end_row: Math.min(rows, MOST_POINTS * 2) });
  return { keys: [], series: seriesOf(JSON.parse(text), columns), rows, every };
}

/** Columns of split views are named `value|column`. */
function seriesOf(values: Record<string, unknown[]>, columns: string[]): Series[] {
  return Object.entries(values).flatMap(([path, cells]) => {
    const column = columns.find((it) => it === path) ?? columns.find((it) => path.endsWith(`|${it}`));
    if (column === undefined) return [];
    const split = column === path ? null : path.slice(0, -column.length - 1);
    const name = split === null ? column : columns.length > 1 ? `${split} ${column}` : split;
    return [{ name: visible(name), column, split, values: cells.map(numberOf) }];
  });
}

function numberOf(cell: unknown): number | null {
  if (typeof cell === "boolean") return Number(cell);
  return typeof cell === "number" && Number.isFinite(cell) ? cell : null;
}

/** Returns the cut of a chart's only group by time; null for other charts. */
export function timeCut({ names, cuts }: Groups): Cut | null {
  const cut = names.length === 1 ? cuts[names[0] as string] : undefined;
  return cut?.bucket.kind === "time" ? cut : null;
}

/** Returns the size of the buckets of a cut in milliseconds. */
export function stepOfCut(cut: Cut): number {
  const edges = cut.edges(0);
  return Number(edges?.to ?? 0) - Number(edges?.from ?? 0);
}

/** Adds the buckets of numbers that no row is in, with a value for them. */
export function filled(data: ChartData, { names, cuts }: Groups, empty: number | null): ChartData {
  const cut = names.length === 1 ? cuts[names[0] as string] : undefined;
  if (!cut || cut.isText || cut.bucket.kind !== "number") return data;
  const numbers = data.keys.map(([key]) => key).filter((key) => typeof key === "number");
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const edges = cut.edges(low);
  const step = edges ? Number(edges.to) - Number(edges.from) : 0;
  const bars = Math.round((high - low) / step);
  if (!(step > 0) || !(bars <= MOST_BARS)) return data;
  const at = new Map(data.keys.map(([key], i) => [typeof key === "number" ? Math.round((key - low) / step) : null, i]));
  const places = Array.from({ length: bars + 1 }, (_, i) => i);
  const missing = at.get(null);
  const order = places.map((place) => at.get(place));
  const keys = places.map((place, i) => data.keys[order[i] ?? -1] ?? [low + place * step]);
  const pick = (values: (number | null)[]) => order.map((from) => (from === undefined ? empty : (values[from] ?? null)));
  const series = data.series.map((it) => ({ ...it, values: pick(it.values) }));
  if (missing === undefined) return { ...data, keys, series };
  return {
    ...data,
    keys: [...keys, data.keys[missing] as unknown[]],
    series: series.map((it, i) => ({ ...it, values: [...it.values, data.series[i]?.values[missing] ?? null] })),
  };
}

/** Writes the value of a group for an axis. */
export function keyText(key: unknown, cut: Cut | undefined, isTime: boolean): string {
  if (key === null || key === undefined) return "empty";
  if (typeof key === "boolean") return String(key);
  if (isTime) return instantText(Number(key));
  const unit = cut ? unitOf(cut.bucket.column) : null;
  // The keys of logarithmic buckets are texts.
  if (cut?.isText && unit && Number.isFinite(Number(key))) return shortWithUnit(Number(key), unit);
  if (typeof key !== "number") return visible(String(key));
  const from = cut?.edges(key)?.from;
  const value = typeof from === "number" ? from : key;
  return unit ? shortWithUnit(value, unit) : formatFloat(value);
}

/** Writes a mark's groups: a bucket with both its edges. */
export function groupText(key: unknown, name: string, { cuts, shapes }: Groups): string {
  const cut = cuts[name];
  const isTime = shapes.get(name)?.isTime === true;
  const edges = cut && key !== null ? cut.edges(key) : null;
  if (!cut || !edges) return `${visible(cut?.bucket.column ?? name)} ${keyText(key, cut, isTime)}`;
  const { from, to } = edges;
  if (cut.bucket.kind === "time") return `${instantText(Number(from))} – ${instantText(Number(to), Number(from))}`;
  const column = visible(cut.bucket.column);
  const text = (edge: number | string) => (typeof edge === "number" ? withUnit(edge, unitOf(cut.bucket.column)) : edge);
  if (from === null) return `${column} < ${to === null ? "" : text(to)}`;
  return to === null ? `${column} ≥ ${text(from)}` : `${column} ${text(from)} – ${text(to)}`;
}
