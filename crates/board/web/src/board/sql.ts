// The result of a query, as a table, a chart or figures.

import type { ChartData, Groups, Series } from "../chart/data";
import { cellsOf } from "../json";
import { formatFloat, type Shape, visible } from "../values";
import type { Range } from "./document";
import { lengthOf } from "./range";
import { quoted, textLiteral } from "../sql-text";

/** How a result is shown. */
export type Show = "table" | "number" | "line" | "bar";

export const SHOWS: [Show, string][] = [
  ["table", "Table"],
  ["number", "Number"],
  ["line", "Line chart"],
  ["bar", "Bar chart"],
];

/** The content of a panel of the kind `sql`: a query and its display. */
export interface Query {
  sql: string;
  show: Show;
}

/**
 * Replaces placeholders of a query outside of texts, quoted names and comments: `$from` and `$to` by the ends of the
 * board's range, and `$column` by the chosen value of a variable, or by the column itself if none is chosen.
 */
export function filled(sql: string, range: Range | null, variables: Record<string, string>, now: number): string {
  const length = range?.last ? lengthOf(range.last) : null;
  const from = length ? now - length : Date.parse(range?.from ?? "0001-01-01T00:00:00Z");
  const to = Date.parse(range?.to ?? "9999-12-31T23:59:59Z");
  const values: Record<string, string> = { ...variables, from: instant(from), to: instant(to) };
  return sql.replace(PARTS, (part, name?: string) => (name !== undefined && Object.hasOwn(values, name) ? (values[name] as string) : part));
}

/** A text, a quoted name or a comment as a whole, or a placeholder. */
const PARTS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)/g;

const instant = (at: number) => `TIMESTAMP '${new Date(at).toISOString().replace("T", " ").replace("Z", "")}'`;

/** Returns the SQL of the variables' values by their columns. */
export function variableSql(variables: string[], values: Record<string, string>, isText: (column: string) => boolean): Record<string, string> {
  const sqlOf = (column: string) => {
    const value = values[column];
    if (value === undefined) return quoted(column);
    return isText(column) ? textLiteral(value) : value;
  };
  return Object.fromEntries(variables.map((column) => [column, sqlOf(column)]));
}

export interface Result {
  columns: string[];
  /** The JSON of the cells: a number would lose digits. */
  rows: string[][];
}

/** Reads the lines of a result; a row without a column has a null. */
export function resultOf(lines: string[]): Result {
  const cells = lines.map((line) => new Map(cellsOf(line)));
  const columns = [...new Set(cells.flatMap((row) => [...row.keys()]))];
  return { columns, rows: cells.map((row) => columns.map((name) => row.get(name) ?? "null")) };
}

export const isNumber = (cell: string) => /^-?\d/.test(cell);

/** A float that JSON cannot write as a number. */
const ODD = /^"(NaN|-?Infinity)"$/;

const INSTANT = /^"\d{4}-\d\d-\d\dT[\d:.]+Z?"$/;

/** Returns whether all values of a column are of a kind; false if it has none. */
function all({ rows }: Result, column: number, is: (cell: string) => boolean): boolean {
  const there = rows.map((row) => row[column] as string).filter((cell) => cell !== "null");
  return there.length > 0 && there.every(is);
}

/** Writes a cell; integers keep all digits. */
export function cellText(cell: string): string {
  if (cell === "null") return "";
  if (INSTANT.test(cell)) return new Date(timeOf(cell)).toLocaleString(undefined, { hour12: false });
  if (cell.startsWith('"')) return visible(String(JSON.parse(cell)));
  return /^-?\d+$/.test(cell) || !isNumber(cell) ? visible(cell) : formatFloat(Number(cell));
}

/** Instants without a zone are in UTC, as everywhere. */
function timeOf(cell: string): number {
  const text = String(JSON.parse(cell));
  return Date.parse(text.endsWith("Z") ? text : `${text}Z`);
}

export interface SqlChart {
  data: ChartData;
  groups: Groups;
  column: string;
}

/**
 * Makes a chart: the first column is its axis, the columns of numbers are its series. If a column of texts is beside one
 * of numbers, each text is a series. Returns why there is none.
 */
export function chartOf(result: Result): SqlChart | string {
  const { columns, rows } = result;
  const [axis = ""] = columns;
  const numbers = columns.map((_, i) => i).filter((i) => i > 0 && all(result, i, (cell) => isNumber(cell) || ODD.test(cell)));
  if (numbers.length === 0) return "A chart needs a column for its axis, then a column of numbers.";
  const isTime = all(result, 0, (cell) => INSTANT.test(cell));
  const keyOf = (cell = "null") => (isTime && cell !== "null" ? timeOf(cell) : (JSON.parse(cell) as unknown));
  const split = columns.length === 3 && numbers.length === 1 ? (numbers[0] === 1 ? 2 : 1) : null;
  const texts = [...new Set(rows.map((row) => row[0] as string))];
  if (isTime) texts.sort((a, b) => timeOf(a) - timeOf(b));
  const at = new Map(texts.map((text, i) => [text, i]));
  const series = new Map<string, Series>();
  for (const row of rows) {
    for (const column of numbers) {
      const name = split === null ? visible(columns[column] as string) : cellText(row[split] as string) || "empty";
      const found = series.get(name) ?? { name, column: columns[column] as string, split: null, values: texts.map(() => null) };
      series.set(name, found);
      const cell = row[column] as string;
      if (isNumber(cell)) found.values[at.get(row[0] as string) as number] = Number(cell);
    }
  }
  const shapes = new Map([[axis, { isTime } as Shape]]);
  const data = { keys: texts.map((text) => [keyOf(text)]), series: [...series.values()], rows: texts.length, every: 1 };
  return { data, groups: { names: [axis], cuts: {}, shapes }, column: axis };
}
