// Figures of a column as SQL, so that the editor offers them by name.

import { quoted } from "../sql-text";

/** A figure of a column. */
export interface Figure {
  name: string;
  label: string;
  /** Whether it is of a column; otherwise it is of rows. */
  hasColumn: boolean;
  sql(column: string): string;
}

export const FIGURES: Figure[] = [
  { name: "rows", label: "number of rows", hasColumn: false, sql: () => "count(*)" },
  { name: "avg", label: "mean", hasColumn: true, sql: (column) => `avg(${column})` },
  { name: "median", label: "median", hasColumn: true, sql: (column) => `approx_percentile_cont(${column}, 0.5)` },
  { name: "p95", label: "95th percentile", hasColumn: true, sql: (column) => `approx_percentile_cont(${column}, 0.95)` },
  { name: "p99", label: "99th percentile", hasColumn: true, sql: (column) => `approx_percentile_cont(${column}, 0.99)` },
  { name: "min", label: "least value", hasColumn: true, sql: (column) => `min(${column})` },
  { name: "max", label: "greatest value", hasColumn: true, sql: (column) => `max(${column})` },
  { name: "sum", label: "sum", hasColumn: true, sql: (column) => `sum(${column})` },
  { name: "count", label: "number of values", hasColumn: true, sql: (column) => `count(${column})` },
  { name: "distinct count", label: "number of different values", hasColumn: true, sql: (column) => `count(DISTINCT ${column})` },
];

/** Returns the figure and the column that an expression is; null for another expression. */
export function figureOf(sql: string, columns: string[]): { figure: Figure; column: string } | null {
  for (const figure of FIGURES) {
    if (!figure.hasColumn && figure.sql("") === sql) return { figure, column: columns[0] ?? "" };
    const column = columns.find((name) => figure.sql(quoted(name)) === sql || figure.sql(name) === sql);
    if (figure.hasColumn && column !== undefined) return { figure, column };
  }
  return null;
}
