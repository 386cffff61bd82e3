// Statistics of a column: its most frequent values, or a histogram.

import { type Bucket, type Cut, cutOf, extentView, readExtent, simplified } from "../board/buckets";
import { bucketFilter } from "../board/picks";
import { type ChartData, filled, groupText, keyText } from "../chart/data";
import type { Filter, Table, View, ViewConfig } from "../live/perspective";
import { everyNth } from "../live/sample";
import { shortWithUnit, unitOf, withUnit } from "../unit";
import { shapeIn, type Shapes, visible } from "../values";

export interface Bar {
  /** The values it counts, such as `status 200` or `ms 10 – 20`. */
  label: string;
  /** Its value alone. */
  value: string;
  count: number;
  /** Lets only its rows through; empty if no filter can say that. */
  filter: Filter[];
}

export interface ColumnStats {
  kind: "top" | "histogram";
  /** All rows that were counted. */
  rows: number;
  /** Those of them without a value. */
  empty: number;
  /** How many different values there are; null for a histogram. */
  distinct: number | null;
  bars: Bar[];
}

/** Whole numbers with at most this many values are counted one by one, as codes. */
const MOST_CODES = 12;

/** How many values are listed. */
const LISTED = 12;

/** Tables with more rows are sampled. */
const MOST_ROWS = 200_000;

const GROUP = "streamtable group";
const COUNT = "streamtable count";

/** Returns what rows to count: those of a view, or every n-th of them. */
export function sampleOf(rows: ViewConfig, total: number, position: string): ViewConfig {
  const { filter = [], expressions = {} } = rows;
  const every = Math.ceil(total / MOST_ROWS);
  const all = { filter, expressions };
  return every <= 1 ? all : everyNth(all, position, every);
}

/** Reads the statistics of a column; null for columns that have none, such as pictures. */
export async function statsOf(table: Table, column: string, shapes: Shapes, rows: ViewConfig): Promise<ColumnStats | null> {
  const shape = shapeIn(shapes, column);
  if (shape.isMedia || shape.isNested) return null;
  const { isTime } = shape;
  if (!isTime && !shape.isFloat) {
    const top = await topOf(table, column, rows);
    if (!shape.isInteger || (top.distinct ?? 0) <= MOST_CODES) return top;
  }
  return histogramOf(table, { column, kind: isTime ? "time" : "number" }, shapes, rows);
}

async function withView<T>(table: Table, config: ViewConfig, run: (view: View) => Promise<T>): Promise<T> {
  const view = await table.view(config);
  try {
    return await run(view);
  } finally {
    await view.delete().catch(() => undefined);
  }
}

function counted(rows: ViewConfig, group: string, expression?: string): ViewConfig {
  const expressions: Record<string, string> = { ...rows.expressions, [COUNT]: "1" };
  if (expression !== undefined) expressions[group] = expression;
  const aggregates = { [COUNT]: "count" };
  return { filter: rows.filter ?? [], expressions, columns: [COUNT], group_by: [group], aggregates, group_rollup_mode: "flat" };
}

interface Counts {
  keys: unknown[];
  counts: number[];
  groups: number;
}

async function readCounts(view: View, most: number): Promise<Counts> {
  const groups = await view.num_rows();
  const text = groups > 0 ? await view.to_columns_string({ start_row: 0, end_row: Math.min(groups, most) }) : "{}";
  const { __ROW_PATH__: keys = [], [COUNT]: counts = [] } = JSON.parse(text) as Record<string, unknown[]>;
  return { keys: (keys as unknown[][]).map(([key]) => key ?? null), counts: counts as number[], groups };
}

/** Returns the most frequent values of a column as texts, with their numbers of rows. */
export async function valuesOf(table: Table, column: string, most: number): Promise<{ value: string; count: number }[]> {
  const config: ViewConfig = { ...counted({}, column), sort: [[COUNT, "desc"]] };
  const { keys, counts } = await withView(table, config, (view) => readCounts(view, most));
  return keys.flatMap((key, i) => (key === null ? [] : [{ value: String(key), count: counts[i] ?? 0 }]));
}

/** Counts all rows, and those without a value. */
async function sizes(table: Table, column: string, rows: ViewConfig): Promise<[number, number]> {
  const { filter = [], expressions = {} } = rows;
  const size = (filter: Filter[]) => withView(table, { filter, expressions, columns: [] }, (view) => view.num_rows());
  return Promise.all([size(filter), size([...filter, [column, "is null"]])]);
}

async function topOf(table: Table, column: string, rows: ViewConfig): Promise<ColumnStats> {
  const config: ViewConfig = { ...counted(rows, column), sort: [[COUNT, "desc"]] };
  const [found, [all, empty]] = await Promise.all([
    withView(table, config, (view) => readCounts(view, LISTED + 1)),
    sizes(table, column, rows),
  ]);
  const unit = unitOf(column);
  const bars = found.keys.flatMap((key, i): Bar[] => {
    if (key === null) return [];
    const value = typeof key === "number" && unit ? shortWithUnit(key, unit) : keyText(key, undefined, false);
    return [{ label: `${visible(column)} ${value}`, value, count: found.counts[i] ?? 0, filter: [[column, "==", key]] }];
  });
  return { kind: "top", rows: all, empty, distinct: found.groups - (empty > 0 ? 1 : 0), bars: bars.slice(0, LISTED) };
}

/** The width for which a histogram of instants is cut. */
const HISTOGRAM_PX = 120;

async function histogramOf(table: Table, bucket: Bucket, shapes: Shapes, rows: ViewConfig): Promise<ColumnStats | null> {
  const { column } = bucket;
  const isBig = bucket.kind === "number" && shapeIn(shapes, column).isInteger;
  const [extent, [all, empty]] = await Promise.all([
    withView(table, extentView(bucket, isBig, rows), (view) => readExtent(view, bucket, isBig)),
    sizes(table, column, rows),
  ]);
  if (!extent) return { kind: "histogram", rows: all, empty, distinct: null, bars: [] };
  const cut = cutOf(bucket, simplified(extent), HISTOGRAM_PX);
  const config: ViewConfig = { ...counted(rows, GROUP, cut.expression), sort: [] };
  if (cut.isText) {
    config.sort = [[column, "asc"]];
    config.aggregates = { ...config.aggregates, [column]: "min" };
  }
  const { keys, counts } = await withView(table, config, (view) => readCounts(view, 500));
  const data = spread({ keys: keys.map((key) => [key]), series: [{ name: "", column: COUNT, split: null, values: counts }], rows: keys.length, every: 1 }, cut, shapes);
  const bars = data.keys.flatMap(([key], i): Bar[] => {
    if (key === null) return [];
    const label = groupText(key, GROUP, { names: [GROUP], cuts: { [GROUP]: cut }, shapes });
    const isOne = bucket.kind === "number" && !isBig && extent.first === extent.last;
    const value = isOne ? withUnit(Number(extent.first), unitOf(column)) : keyText(key, cut, bucket.kind === "time");
    return [{ label, value, count: data.series[0]?.values[i] ?? 0, filter: bucketFilter(cut, key) ?? [] }];
  });
  return { kind: "histogram", rows: all, empty, distinct: null, bars };
}

function spread(data: ChartData, cut: Cut, shapes: Shapes): ChartData {
  return filled(data, { names: [GROUP], cuts: { [GROUP]: cut }, shapes }, 0);
}
