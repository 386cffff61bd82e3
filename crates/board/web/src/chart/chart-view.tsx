// A chart: its marks answer to the pointer and to keys, and to charts of the same time.

import { type RefObject } from "preact";
import { useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Connection } from "../live/connection";
import type { Filter, ViewConfig, ViewerConfig } from "../live/perspective";
import { onInstant, setInstant } from "./crosshair";
import type { ChartData, Groups } from "./data";
import { EventLines, eventLines, Events, eventsAt } from "./events";
import { type Figure, figureOf, middle } from "./figure";
import type { ChartKind } from "./kinds";
import { filtersOf, hasRows, isInSeries, type Mark, markAt, moved, placeOf, textOf } from "./marks";
import { useSamples } from "./samples";
import { Tooltip } from "./tooltip";
import { type Drawing, useDrawing } from "./use-drawing";

export interface ChartViewProps {
  title: string;
  kind: ChartKind;
  config: ViewerConfig;
  data: ChartData | null;
  groups: Groups;
  /** The span of the axis of time; null for that of the data. */
  extent: [number, number] | null;
  isBare?: boolean;
  /** Null for a chart whose marks have no rows. */
  connection: Connection | null;
  table: string;
  /** The column whose pictures a tooltip shows. */
  media: string | null;
  /** Returns the rows that match conditions on the chart's groups; null if they cannot be determined. */
  rowsOf(filters: Filter[]): ViewConfig | null;
  /** Called when a mark was chosen. */
  onPick?(filters: Filter[]): void;
  /** Called when a mark's rows are to be opened. */
  onOpen?(filters: Filter[]): void;
  /** Called when a part of the axis was chosen: between two instants, or the marks from one to another. */
  onZoom?(from: number, to: number): void;
  onSpan?(first: Filter[], last: Filter[]): void;
}

/** How far the pointer moves before a press is a drag. */
const DRAG_PX = 6;

type Point = [number, number];

export function ChartView(props: ChartViewProps) {
  const { kind, config, data, groups, extent, title, isBare = false } = props;
  const host = useRef<HTMLDivElement>(null);
  const height = host.current?.clientHeight ?? 300;
  const figure = useMemo(
    () => data && figureOf(kind, config, data, groups, extent, height),
    [data, kind, JSON.stringify(config), groups, extent?.[0], extent?.[1], height],
  );
  const drawing = useDrawing(host, figure, isBare);
  const [pointer, setPointer] = useState<Point | null>(null);
  const [chosen, setChosen] = useState<Mark | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);

  const mark = drawing && (pointer ? markAt(drawing.figure, drawing, pointer) : inBounds(drawing.figure, chosen));
  const place = drawing && mark ? drawing.toPixel(placeOf(drawing.figure, mark)) : null;
  useEffect(() => {
    if (drawing?.figure.span) setInstant(mark && (pointer || chosen) ? middle(drawing.figure, mark.index) : null);
  }, [mark?.index, drawing]);
  const rows = mark && drawing && kind !== "scatter" ? props.rowsOf(filtersOf(drawing.figure, mark)) : null;
  const samples = useSamples(props.connection, props.table, props.media, rows);

  const pointOf = (event: MouseEvent): Point => {
    const box = host.current?.getBoundingClientRect();
    return [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
  };
  const canDrag = drawing !== null && (drawing.figure.span ? props.onZoom : kind === "bars" && props.onSpan);
  const press = (event: PointerEvent) => {
    if (event.button !== 0 || event.pointerType === "touch" || !canDrag) return;
    const [from] = pointOf(event);
    const target = event.currentTarget as HTMLElement;
    let to = from;
    const move = (event: PointerEvent) => {
      to = pointOf(event)[0];
      if (Math.abs(to - from) > DRAG_PX) {
        target.setPointerCapture(event.pointerId);
        setDrag([Math.min(from, to), Math.max(from, to)]);
      }
    };
    const end = () => {
      target.removeEventListener("pointermove", move);
      setDrag(null);
      if (Math.abs(to - from) > DRAG_PX) span(Math.min(from, to), Math.max(from, to));
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
  };
  const wasDragged = useRef(false);
  const span = (from: number, to: number) => {
    wasDragged.current = true;
    setTimeout(() => (wasDragged.current = false));
    if (!drawing) return;
    const y = (host.current?.clientHeight ?? 0) / 2;
    const [start, end] = [drawing.toValue([from, y]), drawing.toValue([to, y])];
    if (!start || !end) return;
    if (drawing.figure.span) return props.onZoom?.(Math.round(start[0]), Math.round(end[0]));
    const last = drawing.figure.labels.length - 1;
    const at = (x: number) => filtersOf(drawing.figure, { index: Math.min(last, Math.max(0, Math.round(x))), column: null });
    props.onSpan?.(at(start[0]), at(end[0]));
  };
  const pick = (mark: Mark | null) => {
    if (drawing && mark && kind !== "scatter" && hasRows(drawing.figure, mark)) props.onPick?.(filtersOf(drawing.figure, mark));
  };
  const open = (mark: Mark | null) => {
    if (drawing && mark && kind !== "scatter") props.onOpen?.(filtersOf(drawing.figure, mark));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!drawing || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) setChosen(moved(drawing.figure, mark, step[0], step[1]));
    else if (event.key === "Enter" && mark) (event.shiftKey ? open : pick)(mark);
    else if (event.key === "Escape" && chosen) setChosen(null);
    else return;
    setPointer(null);
    event.preventDefault();
  };
  const events = useContext(Events);
  const text = drawing && mark ? textOf(drawing.figure, mark) : null;
  if (text && drawing?.figure.span && mark && events.length > 0) {
    const near = eventsAt(events, drawing, middleValue(drawing.figure), mark.index, pointer?.[0] ?? null);
    text.lines.push(...eventLines(near, drawing.figure));
  }
  const box = host.current?.getBoundingClientRect();
  const tip: Point | null = pointer ?? place;
  return (
    <div
      class={isBare ? "chart bare" : "chart"}
      role="application"
      aria-roledescription="chart"
      aria-label={`${title}. Arrows move from mark to mark${props.onPick ? ", Enter filters by a mark, Shift and Enter open its rows" : ""}.`}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onBlur={() => setChosen(null)}
      onPointerMove={(event) => setPointer(pointOf(event))}
      onPointerLeave={() => setPointer(null)}
      onPointerDown={press}
      onClick={() => {
        if (!wasDragged.current) pick(mark);
      }}
      onDblClick={() => open(mark)}
    >
      {drawing && !isBare && <Legend drawing={drawing} />}
      <div class="chart-canvas" ref={host} aria-hidden="true" />
      {drawing?.figure.span && events.length > 0 && (
        <EventLines
          events={events}
          drawing={drawing}
          value={middleValue(drawing.figure)}
          width={host.current?.clientWidth ?? 0}
          isBare={isBare}
        />
      )}
      {drawing?.figure.span && <Crosshair drawing={drawing} host={host} />}
      {drawing && mark && !drawing.figure.span && place && <Band drawing={drawing} mark={mark} host={host} />}
      {drag && <div class="chart-drag" style={{ left: `${drag[0]}px`, width: `${drag[1] - drag[0]}px` }} />}
      {drawing && text && tip && box && !drag && (
        <Tooltip text={text} at={[box.left + tip[0], box.top + tip[1]]} colours={drawing.colours.series} samples={samples} />
      )}
      <p class="hidden" role="status">
        {chosen && text && [text.title, ...text.lines.map(({ name, value }) => `${name} ${value}`)].join(", ")}
      </p>
    </div>
  );
}

const STEPS: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function inBounds(figure: Figure, mark: Mark | null): Mark | null {
  const count = figure.kind === "scatter" ? (figure.data.series[0]?.values.length ?? 0) : figure.data.keys.length;
  return mark && mark.index < count && (mark.column ?? 0) < Math.max(1, figure.data.series.length) ? mark : null;
}

/** The most series that a legend names. */
const MOST_NAMED = 12;

function Legend({ drawing: { figure, colours } }: { drawing: Drawing }) {
  const { kind, data, mean } = figure;
  const hasNames = kind !== "heat" && kind !== "scatter" && data.series.length > 1;
  if (mean) return <p class="chart-legend">{`bold: mean of ${mean.over}`}</p>;
  if (!hasNames) return null;
  return (
    <p class="chart-legend">
      {data.series.slice(0, MOST_NAMED).map(({ name }, i) => (
        <span key={i}>
          <i style={{ background: colours.series[i % colours.series.length] }} />
          <bdi>{name}</bdi>
        </span>
      ))}
      {data.series.length > MOST_NAMED && <span>and {data.series.length - MOST_NAMED} more</span>}
    </p>
  );
}

interface OverlayProps {
  drawing: Drawing;
  host: RefObject<HTMLDivElement | null>;
}

/** The line at the instant under the pointer, in this chart or in another one. */
function Crosshair({ drawing, host }: OverlayProps) {
  const line = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      onInstant((at) => {
        const [from, to] = drawing.figure.span ?? [0, 0];
        const pixel = at === null || at < from || at > to ? null : drawing.toPixel([at, middleValue(drawing.figure)]);
        if (!line.current) return;
        line.current.hidden = pixel === null;
        if (pixel) line.current.style.left = `${pixel[0]}px`;
      }),
    [drawing, host],
  );
  return <div class="chart-line" ref={line} hidden />;
}

/** A value that the axis of values has, also a logarithmic one. */
function middleValue(figure: Figure): number {
  const at = figure.data.keys.findIndex((_, index) => isInSeries(figure, index));
  return figure.data.series.map((it) => it.values[at]).find((it) => typeof it === "number") ?? 1;
}

/** The place of the group under the pointer. */
function Band({ drawing, mark, host }: OverlayProps & { mark: Mark }) {
  const { figure, toPixel } = drawing;
  const [x, y] = placeOf(figure, mark);
  const center = toPixel([x, y]);
  if (!center) return null;
  if (figure.kind === "scatter") return <div class="chart-dot" style={{ left: `${center[0]}px`, top: `${center[1]}px` }} />;
  const gap = (a: Point, axis: 0 | 1) => Math.abs((toPixel(a)?.[axis] ?? 0) - (center[axis] ?? 0));
  const [wide, high] = [host.current?.clientWidth ?? 0, host.current?.clientHeight ?? 0];
  const across = figure.kind === "rows" ? wide : bandOf(gap([x === 0 ? 1 : x - 1, y], 0), figure.kind === "heat" ? figure.across.length : figure.labels.length, wide);
  const up = figure.kind === "bars" || figure.kind === "lines" || figure.kind === "areas" || figure.kind === "points" ? high : bandOf(gap([x, y === 0 ? 1 : y - 1], 1), figure.labels.length, high);
  const style = {
    left: `${across === wide ? 0 : center[0] - across / 2}px`,
    top: `${up === high ? 0 : center[1] - up / 2}px`,
    width: `${across}px`,
    height: `${up}px`,
  };
  return <div class={figure.kind === "heat" ? "chart-cell" : "chart-band"} style={style} />;
}

/** The width of a group on its axis; a single one takes all of it. */
function bandOf(gap: number, count: number, room: number): number {
  return count > 1 ? gap : room;
}
