// The charts that the page draws itself. Perspective draws the others.

import type { ViewerConfig } from "../live/perspective";

export type ChartKind = "bars" | "rows" | "lines" | "areas" | "points" | "heat" | "scatter";

/** The kinds of grouped views, by the names of Perspective's charts, which documents use. */
const GROUPED: Record<string, ChartKind> = {
  "Y Bar": "bars",
  "X Bar": "rows",
  "Y Line": "lines",
  "Y Area": "areas",
  "Y Scatter": "points",
  Heatmap: "heat",
};

/** Returns how the page draws a view; null if it does not. */
export function chartKind({ plugin = "", group_by = [], columns = [] }: ViewerConfig): ChartKind | null {
  const shown = columns.filter((column) => column !== null);
  if (plugin === "X/Y Scatter") return group_by.length === 0 && shown.length >= 2 ? "scatter" : null;
  return group_by.length > 0 && shown.length > 0 ? (GROUPED[plugin] ?? null) : null;
}
