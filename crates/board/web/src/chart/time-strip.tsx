// Rows over time, above a table or a board: a drag chooses a span.

import type { Connection } from "../live/connection";
import type { Overlay } from "../live/overlay";
import type { Filter } from "../live/perspective";
import { rowTimeOf, type Shapes } from "../values";
import { LiveChart } from "./live-chart";

interface TimeStripProps {
  table: string;
  connection: Connection;
  shapes: Shapes;
  /** The filters of the rows that it counts. */
  filter: Filter[];
  expressions: Record<string, string>;
  overlay: Overlay;
  span: [number, number | null] | null;
  onZoom(from: number, to: number): void;
}

/** The names of the strip's columns; a table's own columns do not begin so. */
const TIME = "streamtable time";
const ROWS = "rows";

export function TimeStrip({ filter, expressions, shapes, ...props }: TimeStripProps) {
  const rows = shapes.has(ROWS) ? "streamtable rows" : ROWS;
  const time = rowTimeOf(shapes);
  const config = {
    plugin: "Y Bar",
    columns: [rows],
    group_by: [TIME],
    aggregates: { [rows]: "count" },
    expressions: { ...expressions, [rows]: "1", [TIME]: `"${time}"` },
    filter,
    buckets: { [TIME]: { column: time, kind: "time" as const } },
  };
  return (
    <div class="time-strip">
      <LiveChart {...props} id="strip" title="Rows over time" config={config} shapes={shapes} isBare />
    </div>
  );
}
