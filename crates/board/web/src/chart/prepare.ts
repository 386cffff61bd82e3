// The first state of a chart: a table's view often has no groups, and has columns without numbers.

import type { ViewerConfig } from "../live/perspective";
import { rolesOf } from "../board/roles";
import { unitOf } from "../unit";
import { rowTimeOf, type Shapes } from "../values";
import { chartKind } from "./kinds";

/** How many columns a chart of a table shows at first. */
const FEW = 4;

/** Returns the columns that fit one axis: measures rather than codes and identifiers, of the unit of the first. */
function alike(numbers: string[], shapes: Shapes): string[] {
  const measures = new Set(rolesOf(shapes).measures);
  const found = numbers.some((name) => measures.has(name)) ? numbers.filter((name) => measures.has(name)) : numbers;
  return found.filter((name) => unitOf(name) === unitOf(found[0] ?? ""));
}

/** Adds to a view what a kind of chart needs. */
export function prepared(plugin: string, config: ViewerConfig, shapes: Shapes): ViewerConfig {
  const isNumber = (name: string) => shapes.get(name)?.isFloat === true || shapes.get(name)?.isInteger === true;
  const shown = (config.columns ?? []).filter((column) => column !== null);
  const numbers = [...new Set([...shown, ...shapes.keys()])].filter(isNumber);
  if (plugin === "X/Y Scatter") {
    const columns = shown.filter(isNumber).length >= 2 ? shown.filter(isNumber) : numbers;
    return { plugin, group_by: [], split_by: [], columns: columns.length >= 2 ? columns : shown };
  }
  const isGrouped = chartKind({ plugin, group_by: ["any"], columns: ["any"] }) !== null;
  if (!isGrouped || (config.group_by ?? []).length > 0) return { plugin };
  const measures = plugin === "Y Bar" || plugin === "X Bar" ? [] : alike(shown.filter(isNumber), shapes).slice(0, FEW);
  if (measures.length > 0) return { plugin, group_by: [rowTimeOf(shapes)], sort: [], columns: measures, aggregates: {} };
  const rows = shapes.has("rows") ? "streamtable rows" : "rows";
  const expressions = { ...config.expressions, [rows]: "1" };
  return { plugin, group_by: [rowTimeOf(shapes)], sort: [], columns: [rows], aggregates: { [rows]: "count" }, expressions };
}
