// The figure of a monitor over its last windows.

import { api } from "../api";
import { cellsOf } from "../json";
import { quoted, quotedTable } from "../sql-text";
import { rowTimeOf, type Shapes } from "../values";
import { lengthOf } from "../board/range";
import type { MonitorDocument } from "./document";

/** How many windows are shown. */
const WINDOWS = 40;

/**
 * Returns the query of a monitor's figure in windows of its length, oldest first. Of groups, it is the one nearest to the
 * threshold or furthest beyond it. Null for a monitor whose figure is not of one window, or not one of time.
 */
export function curveSql(document: MonitorDocument, shapes: Shapes): string | null {
  const { condition, window, where, group_by, table } = document;
  const length = lengthOf(window.last ?? "");
  const figure = figureSql(document);
  if (length === null || figure === null) return null;
  const time = quoted(rowTimeOf(shapes));
  const step = `INTERVAL '${length} milliseconds'`;
  const span = `INTERVAL '${length * WINDOWS} milliseconds'`;
  const rows = `FROM ${quotedTable(table)} WHERE ${time} >= now() - ${span}${where ? ` AND (${where})` : ""}`;
  const inner = `SELECT date_bin(${step}, ${time}) AS window_start, (${figure}) AS figure ${rows} GROUP BY 1`;
  if (!group_by) return `${inner} ORDER BY 1`;
  const worst = condition.below === undefined ? "max" : "min";
  const grouped = `SELECT date_bin(${step}, ${time}) AS window_start, (${group_by}) AS its_group, (${figure}) AS figure ${rows} GROUP BY 1, 2`;
  return `SELECT window_start, ${worst}(figure) AS figure FROM (${grouped}) GROUP BY 1 ORDER BY 1`;
}

function figureSql({ condition }: MonitorDocument): string | null {
  switch (condition.kind) {
    case "threshold":
      return condition.value || null;
    case "no_rows":
      return "count(*)";
    case "sql":
      return condition.above === undefined && condition.below === undefined ? null : (condition.expression ?? null);
    default:
      return null;
  }
}

export interface Curve {
  /** The values of the windows that have one. */
  values: number[];
}

export async function readCurve(document: MonitorDocument, shapes: Shapes): Promise<Curve | null> {
  const sql = curveSql(document, shapes);
  if (sql === null) return null;
  const [entity = "", project = ""] = document.table.split("/");
  const { lines } = await api.queryLines(sql, [entity, project], 2 * WINDOWS);
  const cells = lines.map((line) => Number(new Map(cellsOf(line)).get("figure") ?? Number.NaN));
  return { values: cells.filter(Number.isFinite) };
}
