// The marks of a figure: which one is at a position, its text, and the rows that it represents.

import type { Filter } from "../live/perspective";
import { withUnit } from "../unit";
import { formatFloat, plural, visible } from "../values";
import { groupText } from "./data";
import { type Figure, middle, rowTotal } from "./figure";

/** A mark: a group, and for a heat map one of its columns. */
export interface Mark {
  index: number;
  column: number | null;
}

/** The text of a tooltip. */
export interface MarkText {
  title: string;
  lines: { name: string; value: string; series: number }[];
}

/** A chart's scales between pixels and values. */
export interface Scales {
  toValue(pixel: [number, number]): [number, number] | null;
  toPixel(value: [number, number]): [number, number] | null;
}

/** How far from a point of a scatter chart the pointer may be. */
const REACH_PX = 24;

export function isInSeries({ data }: Figure, index: number): boolean {
  return data.series.some(({ values }) => values[index] !== null && values[index] !== undefined);
}

/** Returns the mark at a pixel: the nearest one along the axis of the groups. */
export function markAt(figure: Figure, scales: Scales, [x, y]: [number, number]): Mark | null {
  if (figure.kind === "scatter") return pointAt(figure, scales, [x, y]);
  const value = scales.toValue([x, y]);
  if (!value) return null;
  if (figure.span) return nearestInTime(figure, value[0]);
  const count = figure.labels.length;
  if (figure.kind === "heat") {
    const [column, index] = value.map(Math.round) as [number, number];
    const isIn = index >= 0 && index < count && column >= 0 && column < figure.across.length;
    return isIn ? { index, column } : null;
  }
  const along = Math.round(figure.kind === "rows" ? value[1] : value[0]);
  return along >= 0 && along < count ? { index: along, column: null } : null;
}

function nearestInTime(figure: Figure, at: number): Mark | null {
  let best: number | null = null;
  for (let index = 0; index < figure.data.keys.length; index++) {
    if (!isInSeries(figure, index)) continue;
    const distance = Math.abs(middle(figure, index) - at);
    if (best === null || distance < Math.abs(middle(figure, best) - at)) best = index;
  }
  return best === null ? null : { index: best, column: null };
}

function pointAt({ data }: Figure, { toPixel }: Scales, [x, y]: [number, number]): Mark | null {
  const [across, up] = data.series;
  let best: { index: number; distance: number } | null = null;
  for (let index = 0; index < (across?.values.length ?? 0); index++) {
    const [a, b] = [across?.values[index], up?.values[index]];
    if (typeof a !== "number" || typeof b !== "number") continue;
    const pixel = toPixel([a, b]);
    if (!pixel) return null;
    const distance = Math.hypot(pixel[0] - x, pixel[1] - y);
    if (distance <= REACH_PX && distance < (best?.distance ?? Infinity)) best = { index, distance };
  }
  return best && { index: best.index, column: null };
}

/** Moves a mark by keys; starts at the last group. */
export function moved(figure: Figure, mark: Mark | null, dx: number, dy: number): Mark {
  const last = Math.max(0, (figure.kind === "scatter" ? figure.data.series[0]?.values.length ?? 0 : figure.data.keys.length) - 1);
  if (!mark) return { index: figure.span ? last : 0, column: figure.kind === "heat" ? 0 : null };
  const clamp = (n: number, most: number) => Math.min(most, Math.max(0, n));
  if (figure.kind === "heat") {
    return { index: clamp(mark.index + dy, last), column: clamp((mark.column ?? 0) + dx, figure.across.length - 1) };
  }
  return { index: clamp(mark.index + dx + dy, last), column: null };
}

/** Where a mark is in values of the axes. */
export function placeOf(figure: Figure, { index, column }: Mark): [number, number] {
  const { kind, data, span } = figure;
  if (kind === "heat") return [column ?? 0, index];
  if (kind === "scatter") return [data.series[0]?.values[index] ?? 0, data.series[1]?.values[index] ?? 0];
  const values = data.series.map((it) => it.values[index]).filter((it) => typeof it === "number");
  const isStacked = kind === "bars" || kind === "rows" || kind === "areas";
  const top = isStacked && !data.isLaidOver ? values.reduce((a, b) => a + b, 0) : Math.max(...values, 0);
  return kind === "rows" ? [top, index] : [span ? middle(figure, index) : index, top];
}

export function textOf(figure: Figure, { index, column }: Mark): MarkText {
  const { data, groups, units, kind, split } = figure;
  const value = (series: number) => {
    const it = data.series[series]?.values[index];
    const smooth = figure.smoothed?.[series]?.[index];
    const more = typeof smooth === "number" ? ` (smoothed ${withUnit(Number(smooth.toPrecision(6)), units[series] ?? null)})` : "";
    return it === null || it === undefined ? "no rows" : withUnit(it, units[series] ?? null) + more;
  };
  const title = (data.keys[index] ?? []).map((key, i) => groupText(key, groups.names[i] ?? "", groups)).join(", ");
  if (kind === "scatter") {
    const lines = data.series.map((it, series) => ({ name: it.name, value: value(series), series }));
    return { title: `Point ${index + 1}`, lines };
  }
  if (kind === "heat" && column !== null) return cellText(figure, index, column, title);
  const lines = data.series.map((it, series) => ({ name: split === null ? it.name : `${visible(split)} ${it.name}`, value: value(series), series }));
  const mean = figure.mean?.values[index];
  if (figure.mean && typeof mean === "number") {
    lines.push({ name: `mean of ${figure.mean.over}`, value: withUnit(mean, units[0] ?? null), series: -1 });
  }
  return { title, lines: lines.filter(({ series }) => split === null || series < 0 || data.series[series]?.values[index] !== null) };
}

/** Such as `truth 9 → prediction 4`, with the number of rows. */
function cellText(figure: Figure, index: number, column: number, title: string): MarkText {
  const { data, split, isConfusion, units } = figure;
  const cell = data.series[column];
  const found = cell?.values[index] ?? 0;
  const to = split === null ? (cell?.name ?? "") : `${visible(split)} ${figure.across[column]}`;
  if (!isConfusion) {
    return { title: `${title} · ${to}`, lines: [{ name: cell?.column ?? "", value: withUnit(found, units[column] ?? null), series: 0 }] };
  }
  const all = rowTotal(figure, index);
  const share = all > 0 ? `${formatFloat(Math.round((1000 * found) / all) / 10)} % of ${title}` : "";
  return { title: `${title} → ${to}`, lines: [{ name: share, value: plural(found, "row"), series: -1 }] };
}

/** Returns whether a mark represents rows: a bar of height zero does not. */
export function hasRows({ data, kind }: Figure, { index, column }: Mark): boolean {
  const cells = column === null ? data.series : data.series.slice(column, column + 1);
  const isCount = kind === "bars" || kind === "rows" || kind === "heat";
  return cells.some(({ values }) => (isCount ? Boolean(values[index]) : values[index] !== null && values[index] !== undefined));
}

/** Returns the conditions that a mark's rows fulfil, on the groups of the chart. */
export function filtersOf(figure: Figure, { index, column }: Mark): Filter[] {
  const { data, groups, split } = figure;
  const filters = groups.names.map((name, i): Filter => [name, "==", data.keys[index]?.[i]]);
  const found = column === null ? null : data.series[column]?.split;
  if (split !== null && found !== null && found !== undefined) filters.push([split, "==", found]);
  return filters;
}
