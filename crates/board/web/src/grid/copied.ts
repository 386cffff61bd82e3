// Rows of a view as text, for the clipboard.

import type { Table, ViewConfig, ViewerConfig } from "../live/perspective";
import { mediaOf } from "../values";

/** Rows beyond these are not copied: an export has all of them. */
export const MOST_COPIED = 1_000;

/** The cells of rows, by row, under the names of their columns. */
export interface Copied {
  names: string[];
  rows: unknown[][];
  /** How many rows the view has. */
  total: number;
}

export type CopyFormat = "csv" | "markdown" | "json";

/** Reads the first rows of a view, with the groups of a grouped one as its first columns. */
export async function readCopied(table: Table, name: string, config: ViewerConfig): Promise<Copied> {
  const { group_by = [], split_by = [], sort = [], filter = [], expressions = {} } = config;
  const columns = (config.columns ?? []).filter((column) => column !== null);
  const wanted: ViewConfig = { columns, group_by, split_by, sort, filter, expressions };
  if (config.aggregates) wanted.aggregates = config.aggregates;
  if (group_by.length > 0) wanted.group_rollup_mode = "flat";
  const [view, schema] = await Promise.all([table.view(wanted), table.schema()]);
  try {
    const total = await view.num_rows();
    const text = total > 0 ? await view.to_columns_string({ start_row: 0, end_row: Math.min(total, MOST_COPIED) }) : "{}";
    const { __ROW_PATH__: paths = [], ...cells } = JSON.parse(text) as Record<string, unknown[]>;
    const shown = split_by.length > 0 ? Object.keys(cells) : columns;
    const names = [...group_by, ...shown];
    const isTime = names.map((it) => schema[it] === "datetime");
    const count = group_by.length > 0 ? paths.length : Math.max(0, ...shown.map((it) => cells[it]?.length ?? 0));
    const rows = Array.from({ length: count }, (_, row) => {
      const path = (paths[row] ?? []) as unknown[];
      const all = [...group_by.map((_, i) => path[i] ?? null), ...shown.map((it) => cells[it]?.[row] ?? null)];
      return all.map((value, i) => plain(value, isTime[i] === true, name));
    });
    return { names, rows, total };
  } finally {
    await view.delete().catch(() => undefined);
  }
}

/** Returns an instant as ISO 8601, a file as its path, and all else as it is. */
function plain(value: unknown, isTime: boolean, table: string): unknown {
  if (isTime && typeof value === "number") return new Date(value).toISOString();
  return mediaOf(value, table)?.path ?? value;
}

export function written(copied: Copied, format: CopyFormat): string {
  switch (format) {
    case "csv":
      return [copied.names, ...copied.rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
    case "markdown":
      return markdown(copied);
    case "json":
      return JSON.stringify(copied.rows.map((row) => Object.fromEntries(row.map((value, i) => [copied.names[i], value]))), null, 2);
  }
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Quotes as RFC 4180 says; an empty text is quoted, since a missing value is not. */
function csvCell(value: unknown): string {
  const text = textOf(value);
  return value === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function markdown({ names, rows }: Copied): string {
  const line = (cells: unknown[]) => `| ${cells.map((cell) => markdownCell(textOf(cell))).join(" | ")} |`;
  const isNumber = names.map((_, i) => rows.length > 0 && rows.every((row) => row[i] === null || typeof row[i] === "number"));
  const rule = `| ${isNumber.map((it) => (it ? "---:" : "---")).join(" | ")} |`;
  return [line(names), rule, ...rows.map(line), ""].join("\n");
}

/** Markup in cells stays text. */
function markdownCell(text: string): string {
  return text.replace(/[\\|<`*_[\]~]/g, "\\$&").replace(/\r\n?|\n/g, "<br>");
}
