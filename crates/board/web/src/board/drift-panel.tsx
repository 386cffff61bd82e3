// A panel that compares the distribution of a column with that of earlier rows.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ChartView } from "../chart/chart-view";
import { type ChartData, readGroups, viewOf } from "../chart/data";
import { overlaid } from "../live/overlay";
import type { Filter, ViewConfig } from "../live/perspective";
import { formatCount, plural, type Shapes } from "../values";
import { bucketed, withCuts } from "./buckets";
import { type DriftLevel, driftOf, FIRST_ROWS, levelOf } from "./drift";
import type { PanelBodyProps } from "./panels";
import { picksOf } from "./picks";
import { shapesOfTable } from "./shapes";
import { useCuts } from "./use-cuts";
import { follow } from "./use-view";

/** The shortest time between two reads of a distribution. */
const READ_MS = 1_000;

const ROWS = "streamtable rows";

const WORDS: Record<DriftLevel, string> = { good: "stable", warn: "some drift", bad: "drift" };

const ABOUT = "Population stability index: below 0.1 the distributions are alike, from 0.25 on they differ";

export function DriftPanel(props: PanelBodyProps & { table: string }) {
  const { panel, table, connection } = props;
  const [shapes, setShapes] = useState<Shapes | null>(null);
  const [error, setError] = useState("");
  useEffect(() => void shapesOfTable(table).then(setShapes, (error: Error) => setError(error.message)), [table]);
  const host = useRef<HTMLDivElement>(null);
  const column = panel.config.columns?.[0] ?? "";
  const own = useMemo(() => {
    const config = { columns: [ROWS], aggregates: { [ROWS]: "count" }, group_by: [column], group_rollup_mode: "flat" };
    const { expressions = {}, filter = [] } = panel.config;
    return bucketed({ ...config, filter, expressions: { ...expressions, [ROWS]: "1" } }, shapes ?? new Map());
  }, [JSON.stringify(panel.config), shapes]);
  const cuts = useCuts(connection, { table, config: own, overlay: props.timeless }, shapes, () => host.current?.clientWidth ?? 0);
  const config = withCuts(own, cuts ?? {});

  const first = panel.config.reference ?? (props.former ? null : FIRST_ROWS);
  const isEarly: Filter[] = first === null ? [] : [["_pos", "<", first]];
  const isLater: Filter[] = first === null ? [] : [["_pos", ">=", first]];
  const view = viewOf(config);
  const now = overlaid({ ...view, filter: [...(view.filter ?? []), ...isLater] }, props.overlay);
  const earlier = (first === null && props.former) || props.timeless;
  const before = overlaid({ ...view, filter: [...(view.filter ?? []), ...isEarly] }, earlier);
  const isReady = shapes !== null && cuts !== null;
  const nowCounts = useCounts(props, isReady ? now : null, setError);
  const beforeCounts = useCounts(props, isReady ? before : null, setError);

  const group = own.group_by?.[0] ?? column;
  const cut = cuts?.[group];
  const isOrdered = cut !== undefined || shapes?.get(column)?.isInteger === true;
  const order = isOrdered ? (key: unknown) => Number(cut?.edges(key)?.from ?? key) : null;
  const drift = useMemo(
    () => nowCounts && beforeCounts && driftOf(nowCounts, beforeCounts, order),
    [nowCounts, beforeCounts, cut?.expression],
  );
  const groups = useMemo(() => ({ names: [group], cuts: cuts ?? {}, shapes: shapes ?? new Map() }), [group, cuts, shapes]);
  useEffect(() => props.onNote(first === null ? "against the former period" : `against the first ${plural(first, "row")}`), [first]);
  if (error) return <p class="panel-note error" role="alert">{error}</p>;
  const origin = { panel: panel.id, table, config: own, cuts: cuts ?? {}, shapes: groups.shapes };
  const level = drift?.psi == null ? null : levelOf(drift.psi);
  return (
    <div class="drift">
      {drift && (
        <p class="drift-figure" title={ABOUT}>
          {level && drift.psi !== null && (
            <>
              <small>PSI</small> <output class={level}>{drift.psi.toFixed(drift.psi < 1 ? 3 : 1)}</output> <b class={level}>{WORDS[level]}</b>{" "}
            </>
          )}
          <small>
            {plural(drift.rows.now, "row")} against {formatCount(drift.rows.before)}
            {level === null && ": nothing to compare yet"}
          </small>
        </p>
      )}
      <div class="live-chart" ref={host}>
        <ChartView
          title={panel.title}
          kind="bars"
          config={config}
          data={drift?.data ?? null}
          groups={groups}
          extent={null}
          connection={null}
          table={table}
          media={null}
          rowsOf={() => null}
          onPick={(filters) => props.onPick(picksOf(filters, origin))}
        />
      </div>
    </div>
  );
}

/** Follows the counts of a view's groups; null until they are known. */
function useCounts({ connection, table }: PanelBodyProps & { table: string }, config: ViewConfig | null, onError: (error: string) => void): ChartData | null {
  const [found, setFound] = useState<ChartData | null>(null);
  const key = JSON.stringify([table, config]);
  useEffect(() => {
    if (!config) return;
    const events = {
      onRead: (data: ChartData) => {
        setFound(data);
        onError("");
      },
      onError,
    };
    return follow(connection, table, config, (view) => readGroups(view, [ROWS]), events, READ_MS).stop;
  }, [key, connection]);
  return found;
}
