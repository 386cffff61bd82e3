// Picks in charts: filters that the other panels of a board take over.

import type { Overlay } from "../live/overlay";
import type { Filter, ViewConfig } from "../live/perspective";
import { formatFloat, rowTimeOf, type Shapes, SYSTEM_COLUMNS, visible } from "../values";
import type { Cut } from "./buckets";

/** One condition of a pick. It names source columns, so that any panel can apply it. */
export interface Pick {
  /** The panel in which it was made; that panel does not apply it. */
  panel: string;
  table: string;
  /** The column with the times of the table's rows: other tables apply conditions on it to theirs. */
  time: string;
  /** The group of the chart that it comes from. */
  group: string;
  /** The text of its chip. */
  label: string;
  filter: Filter[];
  expressions: Record<string, string>;
}

interface Origin {
  panel: string;
  table: string;
  config: ViewConfig;
  cuts: Record<string, Cut>;
  shapes: Shapes;
}

/** Turns a chart's filters (`group == key`) into picks. */
export function picksOf(filters: Filter[], origin: Origin): Pick[] {
  return filters.flatMap(([group, op, key]) => {
    if (op !== "==" || key === null || key === undefined) return [];
    const { panel, table } = origin;
    const base = { panel, table, time: rowTimeOf(origin.shapes), group, expressions: {} };
    const cut = origin.cuts[group];
    if (cut) {
      const filter = bucketFilter(cut, key);
      return filter ? [{ ...base, label: labelOf(cut, key), filter }] : [];
    }
    const expression = origin.config.expressions?.[group];
    const expressions: Record<string, string> = expression === undefined ? {} : { [group]: expression };
    const filter = ofValue(group, key, origin.shapes);
    return [{ ...base, expressions, label: `${visible(group)} ${textOf(key)}`, filter }];
  });
}

/** Returns the conditions on the source column that the rows of a bucket fulfil. */
export function bucketFilter(cut: Cut, key: unknown): Filter[] | null {
  const edges = cut.edges(key);
  if (!edges) return null;
  const { column } = cut.bucket;
  const filter: Filter[] = [];
  if (edges.from !== null) filter.push([column, ">=", edges.from]);
  if (edges.to !== null) filter.push([column, "<", edges.to]);
  return filter;
}

/** Charts know numbers in single precision, so a fraction or a large number is a small range. */
function ofValue(column: string, key: unknown, shapes: Shapes): Filter[] {
  const isExact = typeof key !== "number" || (Number.isInteger(key) && Math.abs(key) < 2 ** 24);
  if (isExact || shapes.get(column)?.isTime) return [[column, "==", key]];
  const error = Math.abs(key) * 2 ** -23;
  return [
    [column, ">=", key - error],
    [column, "<=", key + error],
  ];
}

function labelOf(cut: Cut, key: unknown): string {
  const edges = cut.edges(key);
  const { column, kind } = cut.bucket;
  if (!edges) return column;
  const { from, to } = edges;
  if (kind === "time") return `${time(Number(from))} – ${time(Number(to))}`;
  const name = visible(column);
  if (from === null) return `${name} < ${textOf(to)}`;
  if (to === null) return `${name} ≥ ${textOf(from)}`;
  return `${name} ${textOf(from)} – ${textOf(to)}`;
}

function time(at: number): string {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const parts: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  if (!isToday) Object.assign(parts, { month: "short", day: "numeric" });
  if (at % 1_000 !== 0) parts.fractionalSecondDigits = 3;
  return date.toLocaleString(undefined, parts);
}

function textOf(value: unknown): string {
  if (typeof value === "number") return formatFloat(value);
  const text = visible(String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Joins the picks of the first and the last bucket of a span to one; none if they are not ranges. */
export function spanOf([first]: Pick[], [last]: Pick[]): Pick[] {
  if (!first || !last) return [];
  const low = first.filter.find(([, op]) => op === ">=");
  const high = last.filter.find(([, op]) => op === "<");
  const filter = [low, high].filter((it) => it !== undefined);
  if (filter.length === 0 || Object.keys(first.expressions).length > 0) return [];
  const name = visible(filter[0]?.[0] ?? "");
  const label = low && high ? `${name} ${textOf(low[2])} – ${textOf(high[2])}` : low ? `${name} ≥ ${textOf(low[2])}` : `${name} < ${textOf(high?.[2])}`;
  return [{ ...first, label, filter }];
}

/** Returns the part of picks that a panel applies: those whose columns its table has. */
export function overlayOf(
  picks: Pick[],
  panel: { id: string; table: string; config: ViewConfig },
  shapes: Shapes | undefined,
): Overlay {
  const overlay: Overlay = { filter: [], expressions: {} };
  for (const pick of picks) {
    if (pick.panel === panel.id) continue;
    if (pick.table !== panel.table && !fitsTable(pick, shapes)) continue;
    for (const [source, ...rest] of pick.filter) {
      const column = source === pick.time && shapes ? rowTimeOf(shapes) : source;
      const expression = pick.expressions[column];
      const name = expression === undefined ? column : nameFor(column, expression, panel.config);
      if (expression !== undefined) overlay.expressions[name] = expression;
      overlay.filter.push([name, ...rest] as Filter);
    }
  }
  return overlay;
}

/**
 * Computed columns are not carried to other tables, which may lack what they are computed from; nor are conditions
 * on a column that is the rows' time in one of the two tables alone.
 */
function fitsTable(pick: Pick, shapes: Shapes | undefined): boolean {
  const isTime = (name: string) => shapes !== undefined && name === rowTimeOf(shapes);
  const has = (name: string) => name === pick.time || SYSTEM_COLUMNS.has(name) || (shapes?.has(name) && !isTime(name));
  return Object.keys(pick.expressions).length === 0 && pick.filter.every(([column]) => has(column));
}

/** A name for a carried expression that the panel does not use for another one. */
function nameFor(name: string, expression: string, config: ViewConfig): string {
  const known = config.expressions?.[name];
  return known === undefined || known === expression ? name : `${name} (picked)`;
}
