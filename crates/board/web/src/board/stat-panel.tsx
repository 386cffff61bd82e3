// A panel with figures over all rows: each with its unit, and with its course in time.

import { useEffect, useState } from "preact/hooks";
import { unitOfSeries } from "../chart/figure";
import { LiveChart } from "../chart/live-chart";
import { overlaid } from "../live/overlay";
import type { ViewConfig } from "../live/perspective";
import { shortWithUnit } from "../unit";
import { rowTimeOf, type Shapes } from "../values";
import { Change, useFormer } from "./change";
import type { PanelBodyProps } from "./panels";
import { shapesOfTable } from "./shapes";
import { useView } from "./use-view";

/** The name of the course's groups; a table's own columns do not begin so. */
const TIME = "streamtable time";

export function StatPanel(props: PanelBodyProps & { table: string }) {
  const { panel, table, connection, overlay } = props;
  const { columns = [], aggregates = {}, expressions = {}, filter = [] } = panel.config;
  const shown = columns.filter((column) => column !== null);
  const own: ViewConfig = {
    columns: shown,
    aggregates,
    expressions,
    filter,
    group_by: [],
    group_rollup_mode: "total",
  };
  const { seen, error } = useView(connection, table, overlaid(own, overlay), { first: 1 });
  const former = useFormer(connection, table, props.former && overlaid(own, props.former));
  const [shapes, setShapes] = useState<Shapes | null>(null);
  useEffect(() => void shapesOfTable(table).then(setShapes, () => undefined), [table]);
  if (error) return <p class="panel-note error">{error}</p>;
  const time = rowTimeOf(shapes ?? new Map());
  const course = {
    ...own,
    plugin: "Y Line",
    columns: shown.slice(0, 1),
    group_by: [TIME],
    group_rollup_mode: "flat",
    expressions: { ...expressions, [TIME]: `"${time}"` },
    buckets: { [TIME]: { column: time, kind: "time" as const } },
  };
  const [first] = shown;
  const hasCourse = shapes !== null && typeof seen?.columns[first ?? ""]?.[0] === "number";
  return (
    <>
      <div class="stats">
        {shown.map((column) => {
          const value = seen?.columns[column]?.[0];
          const how = String(aggregates[column] ?? "");
          // A total has no groups, but the unit of its aggregate.
          const unit = unitOfSeries({ column }, { ...own, group_by: [TIME] });
          return (
            <div key={column} class="stat">
              <output title={typeof value === "number" ? String(value) : undefined}>
                {seen ? text(value, unit) : "…"}
              </output>
              {former && <Change now={value} former={former[column]} unit={unit} />}
              {shown.length > 1 && (
                <small>
                  {how} {column}
                </small>
              )}
            </div>
          );
        })}
      </div>
      {hasCourse && (
        <div class="stat-course">
          <LiveChart
            id={panel.id}
            title={`${panel.title} over time`}
            table={table}
            connection={connection}
            config={course}
            overlay={overlay}
            shapes={shapes}
            span={props.span}
            onZoom={props.onZoom}
            isBare
          />
        </div>
      )}
    </>
  );
}

function text(value: unknown, unit: Parameters<typeof shortWithUnit>[1]): string {
  if (typeof value === "number") return shortWithUnit(value, unit);
  return value === null || value === undefined ? "–" : String(value);
}
