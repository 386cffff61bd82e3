import type { RefObject } from "preact";
import { useMemo } from "preact/hooks";
import { ChartView } from "../chart/chart-view";
import type { ChartData } from "../chart/data";
import { visible } from "../values";
import type { Axis, Span } from "./curve-sql";

interface CurveChartProps {
  host?: RefObject<HTMLElement | null>;
  title: string;
  axis: Axis;
  /** Null until it is read. */
  data: ChartData | null;
  /** The shown part of the axis; null for all of it. */
  extent: Span | null;
  onZoom(from: number, to: number): void;
}

/** A chart of curves with its title. */
export function CurveChart({ host, title, axis, data, extent, onZoom }: CurveChartProps) {
  const name = axis === "step" ? "Step" : "timestamp";
  const isSplit = (data?.series.length ?? 0) > 1;
  const config = { columns: [title], group_by: [name], ...(isSplit && { split_by: ["run"] }) };
  const groups = useMemo(() => ({ names: [name], cuts: {}, shapes: new Map() }), [name]);
  return (
    <section class="run-chart" ref={host} data-metric={title}>
      <h2 title={visible(title)}>
        <bdi>{visible(title)}</bdi>
      </h2>
      <div class="run-chart-body">
        <ChartView
          title={title}
          kind="lines"
          config={config}
          data={data}
          groups={groups}
          extent={extent}
          connection={null}
          table=""
          media={null}
          rowsOf={() => null}
          onZoom={onZoom}
        />
        {data?.rows === 0 && <p class="panel-note">No numbers over {axis === "step" ? "steps" : "time"}.</p>}
      </div>
    </section>
  );
}
