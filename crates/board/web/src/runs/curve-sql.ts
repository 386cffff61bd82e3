// The SQL of curves: the means of metrics over equal parts of an axis of whole numbers.

import { quoted, textLiteral } from "../sql-text";

/** The axis of curves. */
export type Axis = "step" | "time";

/** The first and the last place on an axis: steps, or milliseconds since 1970. */
export type Span = [number, number];

/** How many points a curve has at most, about. */
const MOST_PLACES = 1_000;

/** Returns the smallest of 1, 2, 5, 10, … for which an axis has not too many parts. */
export function niceWidth(from: number, to: number): number {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) {
      if ((to - from) / (digit * power) <= MOST_PLACES || !Number.isFinite(to - from)) return digit * power;
    }
  }
}

/** The expression of a row's place. `counted` is the column that counts steps. */
function placeOf(axis: Axis, counted: string): string {
  return axis === "time" ? `CAST("timestamp" AS BIGINT) / 1000` : quoted(counted);
}

/** The query of the first and the last place of a table's rows. */
export function boundsQuery(table: string, axis: Axis, counted: string): string {
  const place = placeOf(axis, counted);
  return `SELECT min(${place}) AS low, max(${place}) AS high FROM ${table}`;
}

/** The query of the means of metrics, as columns `m0`, `m1`, …, in parts of the axis that begin at `x`. */
export function curvesQuery(
  table: string,
  axis: Axis,
  counted: string,
  metrics: string[],
  width: number,
  span: Span | null,
): string {
  const place = placeOf(axis, counted);
  const means = metrics.map((metric, i) => `${meanOf(metric)} AS m${i}`);
  const within = span ? ` AND ${place} BETWEEN ${Math.floor(span[0])} AND ${Math.ceil(span[1])}` : "";
  return (
    `SELECT (${place}) / ${width} * ${width} AS x, ${means.join(", ")} FROM ${table} ` +
    `WHERE ${place} IS NOT NULL${within} GROUP BY 1 ORDER BY 1`
  );
}

/** The mean of a metric's numbers; those that are not finite are left out. */
function meanOf(metric: string): string {
  const value = `CAST(${valueOf(metric)} AS DOUBLE)`;
  return `avg(CASE WHEN abs(${value}) <= CAST('${Number.MAX_VALUE}' AS DOUBLE) THEN ${value} END)`;
}

/** A column, or a field of one: the API writes the way to a field with dots, and escapes those of names. */
function valueOf(metric: string): string {
  const [column = "", ...fields] = metric.split(/(?<!\\)\./).map((part) => part.replaceAll("\\.", "."));
  if (fields.length === 0) return quoted(column);
  return `json_get_float(${[quoted(column), ...fields.map(textLiteral)].join(", ")})`;
}
