// The state of a monitor in a word and a colour.

import { type Bounds, boundText, type MonitorState, STATE_NAMES, valueText } from "./document";

const LOOKS: Record<MonitorState, string> = { firing: "bad", error: "bad", pending: "warning", no_data: "warning", ok: "good" };

export function StateMark({ state }: { state: MonitorState | undefined }) {
  return (
    <span class={`run-state ${state ? LOOKS[state] : ""}`}>
      <i class="dot" aria-hidden="true" />
      {state ? STATE_NAMES[state] : "not evaluated yet"}
    </span>
  );
}

interface ValueProps {
  value: number | string | null | undefined;
  bounds: Bounds | null | undefined;
}

/** A value, its threshold, and how near it is to it. */
export function Value({ value, bounds }: ValueProps) {
  const bound = boundText(bounds);
  return (
    <span class="monitor-value">
      <b>{valueText(value)}</b>
      {bound && <small>fires {bound}</small>}
    </span>
  );
}

interface SparkProps {
  values: number[];
  bounds: Bounds;
  title: string;
}

const [WIDTH, HEIGHT] = [280, 56];

/** The course of a figure, and its threshold as a line. */
export function Spark({ values, bounds, title }: SparkProps) {
  const bound = bounds.above ?? bounds.below ?? null;
  const all = bound === null ? values : [...values, bound];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const x = (i: number) => (values.length < 2 ? WIDTH / 2 : (i / (values.length - 1)) * WIDTH);
  const y = (value: number) => (most === least ? HEIGHT / 2 : HEIGHT - 4 - ((value - least) / (most - least)) * (HEIGHT - 8));
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return (
    <svg class="monitor-spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={title}>
      {bound !== null && <line x1={0} x2={WIDTH} y1={y(bound)} y2={y(bound)} class="bound" />}
      <polyline points={points} class="course" />
      {values.length > 0 && <circle cx={x(values.length - 1)} cy={y(values.at(-1) as number)} r={2.5} class="last" />}
    </svg>
  );
}
