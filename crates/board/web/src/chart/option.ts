// Options of the chart library for a figure.

import { shortWithUnit, type Unit } from "../unit";
import { formatNumber } from "../values";
import type { Series } from "./data";
import { type Figure, middle, rowTotal } from "./figure";
import type { Colours } from "./colours";
import { tickText } from "./time";

export interface Room {
  width: number;
  height: number;
  /** Whether axes have no texts, as in a strip. */
  isBare: boolean;
}

/** The width of a tick's text with its gap. */
const TICK_PX = 84;

export function optionOf(figure: Figure, colours: Colours, room: Room): Record<string, unknown> {
  const base = {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: colours.font, fontSize: 11, color: colours.text },
  };
  if (figure.kind === "heat") return { ...base, ...heat(figure, colours, room) };
  if (figure.kind === "scatter") return { ...base, ...scatter(figure, colours, room) };
  const isRows = figure.kind === "rows";
  const values = valueAxis(figure, colours, room);
  const keys = figure.span ? continuousAxis(figure, colours, room) : keyAxis(figure, colours, room);
  return {
    ...base,
    color: colours.series,
    grid: gridOf(room),
    xAxis: isRows ? values : keys,
    yAxis: isRows ? { ...keys, inverse: true } : values,
    series: [
      ...figure.data.series.map((series, i) => marks(figure, series, i, colours, room)),
      ...(figure.mean ? [meanLine(figure, colours)] : []),
      ...(figure.smoothed ?? []).map((values, i) => smoothedLine(figure, values, i, colours)),
    ],
  };
}

function gridOf({ isBare }: Room) {
  if (isBare) return { left: 0, right: 0, top: 2, bottom: 0 };
  return { left: 6, right: 14, top: 12, bottom: 4, outerBoundsMode: "same", outerBounds: { left: 6, right: 4, top: 8, bottom: 4 } };
}

function axisStyle(colours: Colours) {
  return {
    axisLabel: { color: colours.text2, fontSize: 11, hideOverlap: true },
    axisLine: { lineStyle: { color: colours.line2 } },
    axisTick: { lineStyle: { color: colours.line2 } },
    splitLine: { lineStyle: { color: colours.line } },
  };
}

function continuousAxis({ span, isTime }: Figure, colours: Colours, { width, isBare }: Room) {
  const [min, max] = span as [number, number];
  const style = axisStyle(colours);
  return {
    ...style,
    type: isTime ? "time" : "value",
    // An axis needs a length.
    min: min === max ? min - 1 : min,
    max: min === max ? max + 1 : max,
    // Steps are whole numbers.
    ...(!isTime && { minInterval: 1 }),
    show: !isBare,
    splitNumber: Math.max(1, Math.floor(width / TICK_PX) - 1),
    splitLine: { show: false },
    axisLabel: { ...style.axisLabel, formatter: (at: number) => (isTime ? tickText(at, max - min) : tick(at, null)) },
  };
}

function keyAxis({ kind, labels }: Figure, colours: Colours, { width, isBare }: Room) {
  const style = axisStyle(colours);
  const isRows = kind === "rows";
  return {
    ...style,
    type: "category",
    data: labels,
    show: !isBare,
    splitLine: { show: false },
    axisTick: { show: false },
    axisLabel: {
      ...style.axisLabel,
      interval: isRows ? 0 : "auto",
      width: isRows ? Math.min(160, width * 0.35) : 90,
      overflow: "truncate",
    },
  };
}

function valueAxis(figure: Figure, colours: Colours, { height, width, isBare }: Room) {
  const style = axisStyle(colours);
  const unit = commonUnit(figure.units);
  const length = figure.kind === "rows" ? width / TICK_PX : height / 44;
  const isLine = figure.kind === "lines" || figure.kind === "points";
  return {
    ...style,
    type: figure.isLog ? "log" : "value",
    show: !isBare,
    scale: isLine,
    splitNumber: Math.max(1, Math.min(6, Math.floor(length))),
    axisLine: { show: false },
    axisLabel: { ...style.axisLabel, formatter: (value: number) => tick(value, unit) },
  };
}

/** A tick must not be rounded to another tick's text. */
function tick(value: number, unit: Unit | null): string {
  const text = shortWithUnit(value, unit);
  if (unit) return text;
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return Number(value.toPrecision(4)).toExponential().replace("e+", "e");
  for (const [scale, name] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]] as const) {
    const short = Number((value / scale).toPrecision(4));
    if (size >= scale && Math.abs(short * scale - value) <= 1e-9 * size) return short + name;
  }
  return String(Number(value.toPrecision(12)));
}

function commonUnit(units: (Unit | null)[]): Unit | null {
  const [first = null] = units;
  return units.every((unit) => unit === first) ? first : null;
}

function marks(figure: Figure, series: Series, i: number, colours: Colours, { width, isBare }: Room) {
  const { kind, span, step, data } = figure;
  const colour = colours.series[i % colours.series.length] as string;
  const point = (value: number | null, at: number) => (span ? [middle(figure, at), value] : value);
  const base = { id: `${i}`, name: series.name, itemStyle: { color: colour }, silent: true };
  if (kind === "bars" || kind === "rows") {
    const isStacked = data.series.length > 1 && !data.isLaidOver;
    const room = span && step ? (width - (isBare ? 0 : 60)) / ((span[1] - span[0]) / step) : null;
    return {
      ...base,
      type: "bar",
      // The outline of no rows would be a line.
      data: series.values.map((value, at) => point(data.isLaidOver && value === 0 ? null : value, at)),
      ...(isStacked && { stack: "all" }),
      ...(data.isLaidOver && { barGap: "-100%", itemStyle: laidOver(colour, i) }),
      ...(room !== null && { barWidth: Math.max(1, Math.min(60, room * 0.86)) }),
      barMaxWidth: kind === "rows" ? 24 : 60,
      barCategoryGap: "18%",
    };
  }
  const isPoints = kind === "points";
  return {
    ...base,
    type: isPoints ? "scatter" : "line",
    data: series.values.map((value, at) => ({
      value: point(value, at),
      // A line needs two points: one without neighbours is drawn as a point.
      symbolSize: isPoints ? 6 : isLone(data.curves ? series.values.filter(isNumber) : series.values, data.curves ? 0 : at) ? 5 : 0,
    })),
    symbol: "circle",
    showSymbol: true,
    showAllSymbol: true,
    connectNulls: data.curves !== undefined,
    lineStyle: {
      ...(figure.mean || figure.smoothed ? { width: 1, color: colour, opacity: 0.35 } : { width: 1.6, color: colour }),
      type: data.curves ? dashOf(i, colours) : "solid",
    },
    ...(kind === "areas" && { stack: "all", areaStyle: { opacity: 0.25, color: colour } }),
  };
}

/** The first of several bars at one place is filled, the others are outlines. */
function laidOver(colour: string, i: number) {
  return i === 0 ? { color: colour, opacity: 0.55 } : { color: "transparent", borderColor: colour, borderWidth: 1.5 };
}

function meanLine(figure: Figure, colours: Colours) {
  const data = (figure.mean?.values ?? []).map((value, at) => (figure.span ? [middle(figure, at), value] : value));
  return { id: "mean", type: "line", data, showSymbol: false, silent: true, lineStyle: { width: 2, color: colours.series[0] } };
}

function smoothedLine(figure: Figure, values: (number | null)[], i: number, colours: Colours) {
  const color = colours.series[i % colours.series.length];
  const data = values.map((value, at) => [middle(figure, at), value]);
  const lineStyle = { width: 2, color, type: dashOf(i, colours) };
  return { id: `smoothed ${i}`, type: "line", data, showSymbol: false, silent: true, connectNulls: true, lineStyle };
}

/** Lines beyond the number of colours have the first colours again, and are dashed. */
function dashOf(i: number, colours: Colours): "solid" | "dashed" {
  return i < colours.series.length ? "solid" : "dashed";
}

function isNumber(value: number | null): boolean {
  return value !== null;
}

export function isLone(values: (number | null)[], at: number): boolean {
  const isThere = (i: number) => values[i] !== null && values[i] !== undefined;
  return isThere(at) && !isThere(at - 1) && !isThere(at + 1);
}

/** The part of the library's interface for drawing cells that is used. */
interface CellApi {
  value(dimension: number): number;
  coord(value: number[]): [number, number];
  size(value: number[]): [number, number];
}

/** The least size of a cell that has room for its figure. */
const CELL_PX = { width: 26, height: 15 };

function heat(figure: Figure, colours: Colours, { width, height }: Room) {
  const { labels, across, data, isConfusion } = figure;
  const totals = labels.map((_, row) => rowTotal(figure, row));
  const most = Math.max(...data.series.flatMap((it) => it.values.map((value) => value ?? 0)), 1e-300);
  const hasRoom = (width - 70) / across.length >= CELL_PX.width && (height - 40) / labels.length >= CELL_PX.height;
  const cells = data.series.flatMap(({ values }, x) => values.map((value, y) => [x, y, value ?? 0]));
  /** Returns how a cell is filled, and the colour of its figure. */
  const paint = (x: number, y: number, value: number): [string, string] => {
    if (!value) return ["transparent", colours.text];
    const isRight = isConfusion && labels[y] === across[x];
    const share = value / (isConfusion ? totals[y] || 1 : most);
    const strength = isRight ? 0.12 + 0.3 * share : Math.sqrt(Math.max(0, share));
    const rgb = isConfusion && !isRight ? colours.bad : colours.accent;
    return [`rgba(${rgb.join()},${strength.toFixed(3)})`, strength > 0.6 ? colours.onStrong : colours.text];
  };
  const style = axisStyle(colours);
  const names = (texts: string[], name: string) => ({
    ...style,
    type: "category",
    data: texts,
    name,
    nameLocation: "middle",
    nameTextStyle: { color: colours.text2 },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { show: false },
  });
  const recall = labels.map((label, row) => {
    const right = data.series[across.indexOf(label)]?.values[row] ?? 0;
    return totals[row] ? `${Math.round((100 * right) / (totals[row] as number))} %` : "";
  });
  const [name = ""] = figure.groups.names;
  const side = { ...names(recall, "recall"), position: "right", inverse: true };
  return {
    grid: { left: 26, right: 24, top: 8, bottom: 24, outerBoundsMode: "same", outerBounds: { left: 2, right: 4, top: 6, bottom: 2 } },
    xAxis: { ...names(across, figure.split ?? ""), nameGap: 22 },
    yAxis: [{ ...names(labels, name), inverse: true, nameGap: 34 }, ...(isConfusion ? [{ ...side, nameGap: 38 }] : [])],
    series: [
      {
        id: "cells",
        type: "custom",
        data: cells,
        encode: { x: 0, y: 1 },
        silent: true,
        renderItem: (_: unknown, api: CellApi) => {
          const [x, y, value] = [0, 1, 2].map((dimension) => api.value(dimension)) as [number, number, number];
          const [[cx, cy], [w, h]] = [api.coord([x, y]), api.size([1, 1])];
          const [fill, textFill] = paint(x, y, value);
          return {
            type: "rect",
            shape: { x: cx - w / 2, y: cy - h / 2, width: w, height: h },
            style: { fill, stroke: colours.line, lineWidth: 0.5 },
            textContent: { style: { text: hasRoom && value ? formatNumber(value) : "", fill: textFill, fontSize: 11 } },
            textConfig: { position: "inside" },
          };
        },
      },
      // An axis without a series has no place of its own.
      ...(isConfusion ? [{ id: "side", type: "scatter", yAxisIndex: 1, data: [], silent: true }] : []),
    ],
  };
}

function scatter(figure: Figure, colours: Colours, room: Room) {
  const [x, y] = figure.data.series;
  const style = axisStyle(colours);
  const axis = (name: string, unit: Unit | null, length: number) => ({
    ...style,
    type: "value",
    scale: true,
    name,
    nameLocation: "middle",
    nameGap: 26,
    nameTextStyle: { color: colours.text2 },
    splitNumber: Math.max(2, Math.min(8, Math.floor(length))),
    axisLabel: { ...style.axisLabel, formatter: (value: number) => tick(value, unit) },
  });
  const points = (x?.values ?? []).flatMap((value, i) => {
    const other = y?.values[i];
    return value === null || other === null || other === undefined ? [] : [[value, other]];
  });
  return {
    grid: { left: 24, right: 14, top: 12, bottom: 22, outerBoundsMode: "same", outerBounds: { left: 4, right: 4, top: 8, bottom: 4 } },
    xAxis: axis(x?.name ?? "", figure.units[0] ?? null, room.width / TICK_PX),
    yAxis: { ...axis(y?.name ?? "", figure.units[1] ?? null, room.height / 44), nameGap: 44 },
    series: [
      {
        id: "points",
        type: "scatter",
        data: points,
        symbolSize: points.length > 5_000 ? 3 : 5,
        large: points.length > 2_000,
        itemStyle: { color: colours.series[0], opacity: points.length > 1_000 ? 0.45 : 0.75 },
        silent: true,
      },
    ],
  };
}
