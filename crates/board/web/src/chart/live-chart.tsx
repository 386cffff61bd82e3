// A chart of a table that follows its rows.

import { useEffect, useMemo, useRef } from "preact/hooks";
import { panelLink } from "../api";
import { type Buckets, withCuts } from "../board/buckets";
import { type Pick, picksOf, spanOf } from "../board/picks";
import { type Cuts, useCuts } from "../board/use-cuts";
import { defaultView, namesOf } from "../grid/defaults";
import { viewHash } from "../link";
import type { Connection } from "../live/connection";
import { type Overlay, overlaid } from "../live/overlay";
import type { Filter, ViewConfig, ViewerConfig } from "../live/perspective";
import { formatCount, plural, type Shapes } from "../values";
import { ChartView } from "./chart-view";
import { type ChartData, MOST_GROUPS } from "./data";
import { chartKind } from "./kinds";
import { useChartData } from "./use-data";
import { useSeen } from "./use-seen";

export interface LiveChartProps {
  /** Names the chart in the picks that are made in it. */
  id: string;
  title: string;
  table: string;
  connection: Connection;
  config: ViewerConfig & { buckets?: Buckets };
  overlay: Overlay;
  shapes: Shapes;
  /** The span of the axis of time; its end is null if that is now. */
  span: [number, number | null] | null;
  /** Whether it is drawn without axes. */
  isBare?: boolean;
  onPick?(picks: Pick[]): void;
  onZoom?(from: number, to: number): void;
  /** Called with the number of marks, a note such as the size of buckets, and an error. */
  onState?(state: ChartState): void;
}

export interface ChartState {
  rows: number | null;
  note: string;
  error: string;
}

export function LiveChart(props: LiveChartProps) {
  const { table, connection, overlay, shapes, span, onPick } = props;
  const host = useRef<HTMLDivElement>(null);
  const isSeen = useSeen(host);
  const width = () => host.current?.clientWidth ?? 0;
  const cuts = useCuts(connection, { table, config: props.config, overlay, span }, shapes, width);
  const own = withCuts(props.config, cuts ?? {});
  const config = overlaid(own, overlay);
  const { data, error } = useChartData(connection, table, config, isSeen && cuts !== null);
  const names = props.config.group_by ?? [];
  const groups = useMemo(() => ({ names, cuts: cuts ?? {}, shapes }), [names.join("\n"), cuts, shapes]);
  const note = noteOf(cuts, data, names.length > 0);
  useEffect(() => props.onState?.({ rows: data?.rows ?? null, note, error }), [data?.rows, note, error]);

  const origin = { panel: props.id, table, config: props.config, cuts: cuts ?? {}, shapes };
  /** The rows of the chart that conditions on its groups let through; null if picks cannot say it. */
  const rowsOf = (filters: Filter[]): ViewConfig | null => {
    const picks = picksOf(filters, origin);
    if (new Set(picks.map((it) => it.group)).size < filters.length) return null;
    const expressions = Object.assign({}, config.expressions, ...picks.map((it) => it.expressions));
    return { filter: [...(config.filter ?? []), ...picks.flatMap((it) => it.filter)], expressions };
  };
  const open = async (filters: Filter[]) => {
    const rows = rowsOf(filters);
    if (!rows) return;
    const [entity = "", project = "", name = ""] = table.split("/");
    const view = { ...defaultView(namesOf(shapes), shapes), ...rows };
    window.open(panelLink(entity, project, name) + (await viewHash(view)), "_blank", "noopener");
  };
  const kind = chartKind(props.config);
  const media = [...shapes].find(([, shape]) => shape.isMedia)?.[0] ?? null;
  const end = Number(data?.keys.at(-1)?.[0]) || 0;
  const extent: [number, number] | null = span && [span[0], span[1] ?? Math.max(Date.now(), end)];
  if (!kind) return null;
  return (
    <div class="live-chart" ref={host}>
      <ChartView
        title={props.title}
        kind={kind}
        config={config}
        data={data}
        groups={groups}
        extent={extent}
        isBare={props.isBare ?? false}
        connection={connection}
        table={table}
        media={media}
        rowsOf={rowsOf}
        {...(onPick && {
          onPick: (filters: Filter[]) => onPick(picksOf(filters, origin)),
          onSpan: (first: Filter[], last: Filter[]) => onPick(spanOf(picksOf(first, origin), picksOf(last, origin))),
        })}
        onOpen={(filters) => void open(filters)}
        {...(props.onZoom && { onZoom: props.onZoom })}
      />
    </div>
  );
}

function noteOf(cuts: Cuts | null, data: ChartData | null, isGrouped: boolean): string {
  const sizes = Object.values(cuts ?? {}).map((cut) => cut.size);
  const parts = sizes.filter(Boolean).map((size) => `per ${size}`);
  const { rows = 0, every = 1 } = data ?? {};
  if (isGrouped && rows > MOST_GROUPS) parts.push(`the first ${formatCount(MOST_GROUPS)} of ${plural(rows, "group")}`);
  if (!isGrouped && every > 1) parts.push(`1 of every ${formatCount(every)} rows`);
  return parts.join(", ");
}
