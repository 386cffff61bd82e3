// A panel with a chart that the page draws itself.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ChartState, LiveChart } from "../chart/live-chart";
import { namesOf } from "../grid/defaults";
import { toastError } from "../ui/toast";
import { ViewBar } from "../ui/view-bar";
import type { Shapes } from "../values";
import { bucketed } from "./buckets";
import { NoRows } from "./cover";
import type { PanelBodyProps } from "./panels";
import { forgetShapes, shapesOfTable } from "./shapes";

export function ChartPanel(props: PanelBodyProps & { table: string }) {
  const { panel, table, connection } = props;
  const root = useRef<HTMLDivElement>(null);
  const [shapes, setShapes] = useState<Shapes | null>(null);
  const [{ rows, error }, setState] = useState<ChartState>({ rows: null, note: "", error: "" });
  useEffect(() => {
    const load = () => shapesOfTable(table).then(setShapes, toastError);
    void load();
    return connection.onSchema((name) => {
      if (name !== table) return;
      forgetShapes(table);
      void load();
    });
  }, [table, connection]);
  return (
    <>
      {props.isLarge && shapes && (
        <ViewBar
          config={panel.config}
          names={[...namesOf(shapes), ...Object.keys(panel.config.expressions ?? {})]}
          shapes={shapes}
          rows={rows}
          total={null}
          onChange={(changes) => props.onChange({ ...panel.config, ...changes })}
        />
      )}
      <div class="viewer-host" ref={root}>
        {shapes && (
          <LiveChart
            id={panel.id}
            title={panel.title}
            table={table}
            connection={connection}
            config={bucketed(panel.config, shapes, false)}
            overlay={props.overlay}
            shapes={shapes}
            span={props.span}
            onPick={props.onPick}
            onZoom={props.onZoom}
            onState={(state) => {
              setState(state);
              props.onNote(state.note);
            }}
          />
        )}
      </div>
      {error && (
        <p class="panel-note error" role="alert">
          {error}
        </p>
      )}
      {rows === 0 && !error && (
        <NoRows host={root.current} range={props.range} hasPicks={props.hasPicks} onClear={props.onClearPicks} />
      )}
    </>
  );
}
