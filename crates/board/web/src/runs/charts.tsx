// The charts of one or several runs: one chart per metric, one line per run.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useSeen } from "../chart/use-seen";
import { Button } from "../ui/button";
import { Find } from "../ui/search";
import { State, Unread } from "../ui/state";
import { formatCount, plural } from "../values";
import type { Place } from "./address";
import type { Axis, Span } from "./curve-sql";
import { Histories, metricText, orderedMetrics, readMetrics } from "./histories";
import { CurveChart } from "./curve-chart";
import { curvesOf } from "./curves";
import { formatDuration, isActive } from "./run";
import { usePolled } from "./use-polled";

/** The most runs that are compared at once. */
export const MOST_COMPARED = 16;

/** The time between two looks for new metrics of active runs. */
const METRICS_MS = 10_000;

/** How many charts are shown until more are asked for. */
const FEW_CHARTS = 60;

export interface ChartedRun {
  name: string;
  /** The table that has its rows. */
  table: string;
  title: string;
  state: string;
}

interface RunChartsProps {
  place: Place;
  runs: ChartedRun[];
}

export function RunCharts({ place, runs }: RunChartsProps) {
  const names = runs.map(({ name }) => name);
  const key = JSON.stringify([place, names]);
  const active = runs.filter(isActive).map(({ name }) => name);
  const [search, setSearch] = useState("");
  const [smoothing, setSmoothing] = useState(0);
  const [isLog, setLog] = useState(false);
  const [axis, setAxis] = useState<Axis>("step");
  const [extent, setExtent] = useState<Span | null>(null);
  const [most, setMost] = useState(FEW_CHARTS);
  const isLive = useRef(active.length > 0);
  isLive.current = active.length > 0;
  const { value: metrics, error } = usePolled(
    () => readMetrics(place, names),
    () => (isLive.current ? METRICS_MS : null),
    [key, active.join("\n")],
  );
  const known = useRef<Map<string, Set<string>> | null>(null);
  known.current = metrics ?? known.current;
  const { histories, version, failure } = useHistories(place, runs, known.current, axis, extent);
  if (!known.current) return <Unread error={error} title="The metrics cannot be read" what="Loading the metrics…" />;
  const all = orderedMetrics(known.current.values());
  if (all.length === 0) {
    return (
      <State icon="row" title="No metrics yet">
        <p>Numbers that are logged by {names.length === 1 ? "this run" : "these runs"} appear here as charts.</p>
      </State>
    );
  }
  const matching = all.filter((metric) => metricText(metric).toLowerCase().includes(search.toLowerCase()));
  return (
    <>
      <div class="runs-tools">
        <Find label="Find metrics" onFind={setSearch} />
        <label class="smoothing">
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing}
            onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
          />
          <output>{smoothing.toFixed(2)}</output>
        </label>
        <label class="axis">
          Over
          <select
            value={axis}
            onChange={(event) => {
              setAxis(event.currentTarget.value as Axis);
              setExtent(null);
            }}
          >
            <option value="step">steps</option>
            <option value="time">time</option>
          </select>
        </label>
        <label class="axis">
          <input type="checkbox" checked={isLog} onChange={() => setLog(!isLog)} /> Log scale
        </label>
        {extent && <Button label="Show all" onClick={() => setExtent(null)} />}
        {failure && <span class="stale">Not up to date: {failure}</span>}
        <p class="runs-count" role="status">
          {matching.length === all.length ? plural(all.length, "metric") : `${matching.length} of ${plural(all.length, "metric")}`}
          {histories.width > 1 && `, means of ${axis === "time" ? formatDuration(histories.width) : `${formatCount(histories.width)} steps`}`}
        </p>
      </div>
      <div class="run-charts">
        {matching.slice(0, most).map((metric) => (
          <MetricChart
            key={`${axis} ${metric}`}
            metric={metric}
            runs={runs}
            histories={histories}
            version={version}
            axis={axis}
            smoothing={smoothing}
            isLog={isLog}
            extent={extent}
            onZoom={(from, to) => setExtent([from, to])}
          />
        ))}
      </div>
      {matching.length > most && <Button label="More charts" onClick={() => setMost(most + FEW_CHARTS)} />}
      {matching.length === 0 && <p class="muted">No metric is called anything like this.</p>}
    </>
  );
}

/** Makes the reader of the histories; returns it with a number that grows with each read. */
function useHistories(place: Place, runs: ChartedRun[], metrics: Map<string, Set<string>> | null, axis: Axis, span: Span | null) {
  const [version, setVersion] = useState(0);
  const [failure, setFailure] = useState("");
  const names = JSON.stringify([place, runs.map(({ name, table }) => [name, table])]);
  const histories = useMemo(() => {
    const onRead = () => {
      setVersion((n) => n + 1);
      setFailure("");
    };
    return new Histories(place, axis, span, { onRead, onError: (error) => setFailure(error.message) });
  }, [names, axis, span?.[0], span?.[1]]);
  useEffect(() => () => histories.close(), [histories]);
  const active = runs.filter(isActive).map(({ name }) => name);
  useEffect(() => {
    const sources = runs.map(({ name, table }) => ({ name, table, metrics: metrics?.get(name) ?? new Set<string>() }));
    histories.setSources(sources, active);
  }, [histories, metrics, active.join("\n")]);
  return { histories, version, failure };
}

interface MetricChartProps {
  metric: string;
  runs: ChartedRun[];
  histories: Histories;
  version: number;
  axis: Axis;
  smoothing: number;
  isLog: boolean;
  extent: Span | null;
  onZoom(from: number, to: number): void;
}

function MetricChart({ metric, runs, histories, version, axis, smoothing, isLog, extent, onZoom }: MetricChartProps) {
  const host = useRef<HTMLElement>(null);
  const isSeen = useSeen(host);
  useEffect(() => (isSeen ? histories.want(metric) : undefined), [isSeen, histories, metric]);
  const read = runs.map(({ name }) => histories.points(name, metric));
  const data = useMemo(() => {
    if (read.every((points) => points === null)) return null;
    const curves = runs.map(({ title }, i) => ({ name: title, points: read[i] ?? { x: [], y: [] } }));
    return curvesOf(metricText(metric), curves, { smoothing, isLog });
  }, [version, smoothing, isLog, runs.map(({ title }) => title).join("\n")]);
  return <CurveChart host={host} title={metricText(metric)} axis={axis} data={data} extent={extent} onZoom={onZoom} />;
}
