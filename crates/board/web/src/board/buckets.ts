// Charts over time and over a number: the size of their buckets follows what is on the screen.

import type { View, ViewConfig, ViewerConfig } from "../live/perspective";
import { formatFloat, type Shape, type Shapes } from "../values";
import { quoted } from "../sql-text";

/** A group of a chart that cuts a column into buckets. */
export interface Bucket {
  column: string;
  kind: "time" | "number";
  /** About how many buckets of a number there are. */
  bars?: number;
}

/** The buckets of a chart, by the names of its computed groups. */
export type Buckets = Record<string, Bucket>;

/** The least and the greatest value; integers that no double holds are big. */
export interface Extent {
  first: number | bigint;
  last: number | bigint;
}

/** How a column is cut. */
export interface Cut {
  bucket: Bucket;
  /** The SQL of a bucket's key. */
  expression: string;
  /** How a viewer formats the keys. */
  format: Record<string, unknown>;
  /** The size of a bucket for people, such as `10 s`; empty if buckets differ in size. */
  size: string;
  /** Whether keys are texts, which are sorted by the column's values. */
  isText: boolean;
  /** Returns where a bucket begins and ends, given its key as a chart has it. */
  edges(key: unknown): { from: Edge | null; to: Edge | null } | null;
}

type Edge = number | string;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const STEPS_MS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28, 91, 364].map((n) => n * DAY),
];

/** How many buckets a chart over time has: about one for each six pixels. */
const FEWEST_POINTS = 60;
const MOST_POINTS = 300;
const PX_PER_POINT = 6;

/** How many bars a distribution has. */
const BARS = 30;

/** Distributions over more than this ratio have a logarithmic axis. */
const LOG_RATIO = 1_000;

/** Returns the size of buckets for a span of time and a chart's width. */
export function timeStep(span: number, width: number): number {
  const points = Math.min(MOST_POINTS, Math.max(FEWEST_POINTS, Math.floor(width / PX_PER_POINT)));
  return STEPS_MS.find((step) => span / step <= points) ?? (STEPS_MS.at(-1) as number);
}

/** Cuts a column; values that are whole numbers are in buckets at least that wide. */
export function cutOf(bucket: Bucket, extent: Extent, width: number, isWhole = false): Cut {
  if (bucket.kind === "time") return cutTime(bucket, extent, width);
  if (typeof extent.first === "bigint" || typeof extent.last === "bigint") {
    return cutAt(bucket, integerEdges(BigInt(extent.first), BigInt(extent.last)));
  }
  const { first, last } = extent;
  const isLog = bucket.bars === undefined && first > 0 && last / first > LOG_RATIO;
  // Beyond this ratio, a double cannot count steps from zero.
  const isFar = Math.max(Math.abs(first), Math.abs(last)) > 1e12 * Math.max(last - first, 1e-300);
  if (isLog) return cutAt(bucket, logEdges(first, last));
  if (isFar && last > first) return cutAt(bucket, linearEdges(first, last));
  return cutLinear(bucket, first, last, isWhole);
}

function cutTime(bucket: Bucket, { first, last }: Extent, width: number): Cut {
  const span = Math.max(0, Number(last) - Number(first));
  const step = timeStep(span, width);
  return {
    bucket,
    expression: `date_bin(INTERVAL '${step} milliseconds', ${quoted(bucket.column)})`,
    format: {},
    size: sizeOfTime(step),
    isText: false,
    edges: (key) => {
      const from = typeof key === "number" ? key : Date.parse(String(key));
      return Number.isFinite(from) ? { from, to: from + step } : null;
    },
  };
}

function sizeOfTime(step: number): string {
  const units: [number, string, string][] = [
    [DAY, "d", "day"],
    [HOUR, "h", "hour"],
    [MINUTE, "min", "minute"],
    [SECOND, "s", "second"],
    [1, "ms", "millisecond"],
  ];
  const [unit, name, one] = units.find(([unit]) => step >= unit) ?? [1, "ms", "millisecond"];
  return step === unit ? one : `${step / unit} ${name}`;
}

function cutLinear(bucket: Bucket, first: number, last: number, isWhole: boolean): Cut {
  const step = Math.max(isWhole ? 1 : 0, niceStep((last - first) / (bucket.bars ?? BARS)) || 1);
  const value = finite(bucket.column);
  const digits = Math.max(0, Math.min(100, -Math.floor(Math.log10(step) + 1e-9)));
  return {
    bucket,
    expression: `floor(${value} / ${literal(step)}) * ${literal(step)}`,
    format: {},
    size: formatFloat(step),
    isText: false,
    edges: (key) => {
      // Charts know keys in single precision: the nearest multiple is the exact one.
      const n = Math.round(Number(key) / step);
      if (!Number.isFinite(n)) return null;
      return { from: exact(n * step, digits), to: exact((n + 1) * step, digits) };
    },
  };
}

/** Removes the rounding error of a multiple of a step that has `digits` decimals. */
function exact(x: number, digits: number): number {
  return Number(x.toFixed(digits));
}

/** Cuts a column at edges; keys are the texts of each bucket's lower edge. */
function cutAt(bucket: Bucket, edges: Edge[]): Cut {
  const isInteger = edges.some((edge) => typeof edge === "string");
  const value = isInteger ? quoted(bucket.column) : finite(bucket.column);
  const written = (edge: Edge) => (typeof edge === "number" ? literal(edge) : edge);
  const cases = edges.slice(1).map((to, i) => {
    return `WHEN ${value} < ${written(to)} THEN '${label(edges[i] as Edge)}'`;
  });
  const last = edges.at(-1) as Edge;
  return {
    bucket,
    expression: `CASE ${cases.join(" ")} WHEN ${value} >= ${written(last)} THEN '${label(last)}' END`,
    format: {},
    size: "",
    isText: true,
    edges: (key) => {
      const at = edges.findIndex((edge) => label(edge) === key);
      // The first and the last bucket also take what came since the extent was read.
      return at < 0 ? null : { from: at === 0 ? null : (edges[at] as Edge), to: edges[at + 1] ?? null };
    },
  };
}

/** Edges from this size on are written with an exponent: their labels must be short. */
const LONG_EDGE = 1e6;

/** Returns a text that no other edge has. */
function label(edge: Edge): string {
  if (typeof edge === "string") return edge;
  const short = formatFloat(edge);
  const isExact = Math.abs(edge) < LONG_EDGE && Number(short) === edge;
  return isExact ? short : edge.toExponential().replace("e+", "e");
}

function logEdges(first: number, last: number): number[] {
  const [low, high] = [Math.floor(Math.log10(first)), Math.ceil(Math.log10(last))];
  const decades = high - low;
  const stride = Math.max(1, Math.ceil(decades / BARS));
  const parts = decades > BARS / 2 ? [1] : decades > BARS / 3 ? [1, 3] : [1, 2, 5];
  const edges: number[] = [];
  for (let power = low; power <= high; power += stride) {
    for (const part of parts) edges.push(Number(`${part}e${power}`));
  }
  const start = Math.max(0, edges.findLastIndex((edge) => edge <= first));
  return edges.slice(start).filter((edge) => edge <= last);
}

function linearEdges(first: number, last: number): number[] {
  const step = (last - first) / BARS;
  const edges = Array.from({ length: BARS }, (_, i) => first + i * step);
  return edges.filter((edge, i) => i === 0 || edge > (edges[i - 1] as number));
}

function integerEdges(first: bigint, last: bigint): string[] {
  const step = (last - first) / BigInt(BARS) + 1n;
  const edges: string[] = [];
  for (let edge = first; edge <= last; edge += step) edges.push(edge.toString());
  return edges;
}

/** Rounds up to 1, 2 or 5 times a power of ten; 0 if there is no such number. */
function niceStep(step: number): number {
  if (!(step > 0) || !Number.isFinite(step)) return 0;
  const power = Math.floor(Math.log10(step));
  for (const digit of [1, 2, 5, 10]) {
    const nice = Number(`${digit}e${power}`);
    if (nice >= step * 0.999) return nice;
  }
  return 0;
}

function literal(x: number): string {
  return `CAST('${x}' AS DOUBLE)`;
}

/** A column as doubles; null for NaN and infinities. */
function finite(column: string): string {
  const value = `CAST(${quoted(column)} AS DOUBLE)`;
  return `(CASE WHEN abs(${value}) <= ${literal(Number.MAX_VALUE)} THEN ${value} END)`;
}

const VALUE = "streamtable value";

/** The view whose rows a bucket's extent is read from. */
export function extentView({ column, kind }: Bucket, isBig: boolean, rows: ViewConfig): ViewConfig {
  const expressions = { ...rows.expressions };
  if (kind === "number" && !isBig) expressions[VALUE] = finite(column);
  return { columns: [], filter: rows.filter ?? [], expressions };
}

/** Reads an extent; null if there are no values. */
export async function readExtent(view: View, { column, kind }: Bucket, isBig: boolean): Promise<Extent | null> {
  const [first, last] = await view.get_min_max(kind === "number" && !isBig ? VALUE : column);
  if (first === null || first === undefined || last === null || last === undefined) return null;
  if (isBig) return { first: BigInt(String(first)), last: BigInt(String(last)) };
  return { first: Number(first), last: Number(last) };
}

/** Integers that doubles hold are numbers. */
export function simplified({ first, last }: Extent): Extent {
  const isSmall = (x: number | bigint) => typeof x === "number" || Number.isSafeInteger(Number(x));
  return isSmall(first) && isSmall(last) ? { first: Number(first), last: Number(last) } : { first, last };
}

/** Returns a chart's configuration with its buckets as the cuts have them. */
export function withCuts(config: ViewerConfig, cuts: Record<string, Cut>): ViewerConfig {
  const expressions = { ...config.expressions };
  const columns_config = { ...config.columns_config };
  let { sort = [], aggregates = {} } = config;
  for (const [name, cut] of Object.entries(cuts)) {
    expressions[name] = cut.expression;
    columns_config[name] = { ...cut.format, ...columns_config[name] };
    if (!cut.isText || sort.length > 0) continue;
    sort = [[cut.bucket.column, "asc"]];
    aggregates = { ...aggregates, [cut.bucket.column]: "min" };
  }
  return { ...config, expressions, columns_config, sort, aggregates };
}

/** Gives the parts of a configuration that [`withCuts`] changed the values that `own` has. */
export function withoutCuts(config: ViewerConfig, own: ViewerConfig, cuts: Record<string, Cut>): ViewerConfig {
  const names = new Set(Object.keys(cuts));
  const restored = <T>(all: Record<string, T> = {}, mine: Record<string, T> = {}): Record<string, T> => {
    const kept = Object.entries(all).filter(([name]) => !names.has(name) || name in mine);
    return Object.fromEntries(kept.map(([name, it]) => [name, names.has(name) ? (mine[name] as T) : it]));
  };
  const expressions = restored(config.expressions, own.expressions);
  const columns_config = restored(config.columns_config, own.columns_config);
  const isText = Object.values(cuts).some((cut) => cut.isText);
  if (!isText || (own.sort ?? []).length > 0) return { ...config, expressions, columns_config };
  return { ...config, expressions, columns_config, sort: own.sort ?? [], aggregates: own.aggregates ?? {} };
}

/**
 * Cuts the groups of a chart that are instants or floats, which have too many values to be drawn one by one.
 * With `countsToo`, counts of whole numbers are cut as well.
 */
export function bucketed(
  config: ViewerConfig & { buckets?: Buckets },
  shapes: Shapes,
  countsToo = true,
): ViewerConfig & { buckets?: Buckets } {
  const buckets: Buckets = {};
  const names = (config.group_by ?? []).map((column) => {
    const shape = shapes.get(column);
    const isTime = shape?.isTime === true;
    if (config.expressions?.[column] !== undefined || !(isTime || shape?.isFloat || shape?.isInteger)) return column;
    if (!isTime && !(countsToo ? isFine(config, shape) : shape?.isFloat)) return column;
    const name = `${column} from`;
    buckets[name] = { column, kind: isTime ? "time" : "number" };
    return name;
  });
  if (Object.keys(buckets).length === 0) return config;
  const expressions = { ...config.expressions };
  for (const [name, { column }] of Object.entries(buckets)) expressions[name] = quoted(column);
  return { ...config, group_by: names, expressions, buckets: { ...config.buckets, ...buckets } };
}

/** Counts by a number are its distribution; by whole numbers, other figures are often those of codes. */
function isFine({ columns = [], aggregates = {} }: ViewerConfig, shape: Shape | undefined): boolean {
  const isCount = columns.every((it) => it !== null && aggregates[it] === "count");
  return shape?.isFloat === true || isCount;
}

/** Finds the groups that earlier versions wrote as expressions only, and adds their buckets. */
export function modernized<T extends ViewerConfig & { buckets?: Buckets }>(config: T): T {
  if (config.buckets) return config;
  const found = (config.group_by ?? []).flatMap((name) => {
    const bucket = bucketIn(config.expressions?.[name]);
    return bucket ? [[name, bucket] as const] : [];
  });
  return found.length === 0 ? config : { ...config, buckets: Object.fromEntries(found) };
}

function bucketIn(expression: string | undefined): Bucket | null {
  const time = /^date_trunc\('(?:second|minute|hour|day)', "(_?timestamp)"\)$/.exec(expression ?? "");
  if (time) return { column: time[1] as string, kind: "time" };
  const floor = /^floor\(CAST\("((?:[^"]|"")+)" AS DOUBLE\) \/ [\d.e+-]+\) \* [\d.e+-]+$/;
  const found = floor.exec(expression ?? "");
  return found ? { column: (found[1] as string).replaceAll('""', '"'), kind: "number" } : null;
}
