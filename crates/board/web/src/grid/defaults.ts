// The view of a table before the user changes it.

import type { ViewerConfig } from "../live/perspective";
import { FLOAT_FORMAT, rowTimeOf, type Shapes, SYSTEM_COLUMNS } from "../values";

export type RowSize = "small" | "medium" | "large";

/** How tall rows are; a picture fills its row. */
export const ROW_HEIGHTS: Record<RowSize, number> = { small: 26, medium: 44, large: 88 };

/** The sign of a number shows in its text and needs no colour. */
const PLAIN = { fg_mode: "disabled" };
const INTEGER = { ...PLAIN, number_format: { maximumFractionDigits: 0, useGrouping: false } };
const FLOAT = { ...PLAIN, number_format: FLOAT_FORMAT };
/** Wide enough for a picture and for the name above it. */
const MEDIA = { column_size_override: 110 };
/** Text that goes on and on is clipped; all of it is in the row's details. */
const LONG = { column_size_override: 220 };
/** To the millisecond, which is what the viewer knows; the exact instant is in the cell's title. */
const TIME = {
  date_format: {
    format: "custom",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hour12: false,
  },
};

/** A view without filters, groups and order: a viewer keeps the parts that a configuration leaves out. */
export const NOTHING: ViewerConfig = {
  aggregates: {},
  expressions: {},
  filter: [],
  group_by: [],
  pinned: [],
  scales: {},
  sort: [],
  split_by: [],
};

/** Shows all columns but those that the server adds, oldest row first. */
export function defaultView(names: string[], shapes: Shapes): ViewerConfig {
  const columns = names.filter((name) => !SYSTEM_COLUMNS.has(name) || shapes.has(name));
  return { ...NOTHING, plugin: "Datagrid", columns, settings: false, ...formats(names, shapes) };
}

/** Takes new columns into a view that showed all there were; another shows what it showed. */
export function grown(config: ViewerConfig, before: Shapes, now: Shapes): ViewerConfig {
  const all = (shapes: Shapes) => defaultView(namesOf(shapes), shapes);
  const isAll = JSON.stringify(config.columns) === JSON.stringify(all(before).columns);
  const { columns, columns_config } = all(now);
  return {
    ...config,
    columns: isAll ? columns : config.columns,
    columns_config: { ...columns_config, ...config.columns_config },
  };
}

/** Returns the names of a table's columns in the order of its views: the arrival time, then its own. */
export function namesOf(shapes: Shapes): string[] {
  return [...new Set([rowTimeOf(shapes), ...shapes.keys()])];
}

/** The format that earlier versions wrote into boards and links; it rounded digits before the point. */
const FORMER_FLOAT = { maximumSignificantDigits: 6, useGrouping: false };

/** Returns whether a column's number format is the page's own, not a choice of the user. */
export function isDefaultFormat(format: object | undefined): boolean {
  const own = [INTEGER.number_format, FLOAT_FORMAT, FORMER_FLOAT];
  return !format || own.some((it) => isSameFormat(it, format));
}

function isSameFormat(a: object, b: object): boolean {
  const sorted = (it: object) => JSON.stringify(Object.entries(it).sort());
  return sorted(a) === sorted(b);
}

/** Formats by what columns hold: whole numbers whole, floats with what they have. */
export function formats(names: string[], shapes: Shapes): ViewerConfig {
  const columns_config: Record<string, Record<string, unknown>> = {};
  for (const name of names) {
    const shape = shapes.get(name);
    if (name === "_line" || name === "_pos" || shape?.isInteger) columns_config[name] = INTEGER;
    else if (shape?.isFloat) columns_config[name] = FLOAT;
    else if (shape?.isTime) columns_config[name] = TIME;
    else if (shape?.isMedia) columns_config[name] = MEDIA;
    else if (shape?.isNested) columns_config[name] = LONG;
  }
  const hasMedia = [...shapes.values()].some((shape) => shape.isMedia);
  const row_height = ROW_HEIGHTS[hasMedia ? "medium" : "small"];
  // Without Perspective's row of "Edit" buttons in the header: settings have the same.
  return { columns_config, plugin_config: { row_height, column_menus: false } };
}
