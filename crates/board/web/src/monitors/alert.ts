// New monitors from what a table or a chart shows.

import { path } from "../api";
import type { Filter, ViewerConfig } from "../live/perspective";
import { quoted, textLiteral } from "../sql-text";
import { FIGURES } from "./figures";

/** The parts of a new monitor that its address has. */
export interface NewMonitor {
  table: string;
  title?: string;
  value?: string;
  where?: string;
  group_by?: string;
}

export function monitorsLink(entity: string, project: string, name = ""): string {
  return `/${path(entity, project)}/monitors${name && `/${encodeURIComponent(name)}`}`;
}

/** Returns the address of the editor of a new monitor. */
export function newMonitorLink(made: NewMonitor): string {
  const [entity = "", project = ""] = made.table.split("/");
  return `${monitorsLink(entity, project)}#${new URLSearchParams({ ...made })}`;
}

/** Returns the new monitor that an address asks for; null if it does not. */
export function newMonitorIn(hash: string): NewMonitor | null {
  const parameters = Object.fromEntries(new URLSearchParams(hash.slice(1))) as unknown as NewMonitor;
  return parameters.table === undefined ? null : parameters;
}

/**
 * Returns a monitor of the first figure that a chart shows, split as the chart is. Null for a chart whose figure or whose
 * filters a monitor cannot have.
 */
export function monitorOf(table: string, title: string, config: ViewerConfig): NewMonitor | null {
  const sqlOf = (column: string) => (config.expressions?.[column] === undefined ? quoted(column) : `(${config.expressions[column]})`);
  const [column] = config.columns ?? [];
  if (column === null || column === undefined) return null;
  const aggregate = config.aggregates?.[column];
  const figure = FIGURES.find(({ name, hasColumn }) => hasColumn && name === aggregate);
  if (!figure) return null;
  const conditions = (config.filter ?? []).map((filter) => conditionOf(filter, sqlOf));
  if (conditions.includes(null)) return null;
  const [split] = config.split_by ?? [];
  return {
    table,
    title,
    value: aggregate === "count" && config.expressions?.[column] === "1" ? "count(*)" : figure.sql(sqlOf(column)),
    ...(conditions.length > 0 && { where: conditions.join(" AND ") }),
    ...(split !== undefined && { group_by: sqlOf(split) }),
  };
}

const OPERATORS: Record<string, string> = { "==": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<=" };

function conditionOf([column, operator, value]: Filter, sqlOf: (column: string) => string): string | null {
  const sql = sqlOf(column);
  if (operator === "is null" || operator === "is not null") return `${sql} ${operator.toUpperCase()}`;
  const written = OPERATORS[operator];
  // A number on the column of the rows' times is an instant, which SQL writes otherwise.
  const isKnown = typeof value === "number" ? column !== "timestamp" && column !== "_timestamp" : ["string", "boolean"].includes(typeof value);
  return written && isKnown ? `${sql} ${written} ${literal(value)}` : null;
}

function literal(value: unknown): string {
  return typeof value === "string" ? textLiteral(value) : String(value);
}
