// How a table is shown before anybody changed anything.

import type { ViewerConfig } from "../live/perspective";
import { type Shapes, SYSTEM_COLUMNS } from "../values";

export type RowSize = "small" | "medium" | "large";

/** How tall rows are; a picture fills its row. */
export const ROW_HEIGHTS: Record<RowSize, number> = { small: 26, medium: 44, large: 88 };

/** The colour of a number does not tell its sign: the sign does. */
const PLAIN = { fg_mode: "disabled" };
const INTEGER = { ...PLAIN, number_format: { maximumFractionDigits: 0, useGrouping: false } };
const FLOAT = { ...PLAIN, number_format: { maximumSignificantDigits: 6, useGrouping: false } };
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

/** All columns but those that every table has, oldest row first. */
export function defaultView(names: string[], shapes: Shapes): ViewerConfig {
  const columns = names.filter((name) => !SYSTEM_COLUMNS.has(name) || shapes.has(name));
  return { plugin: "Datagrid", columns, settings: false, ...formats(names, shapes) };
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

/** A table's columns as its views have them: when a row came, then its own. */
export function namesOf(shapes: Shapes): string[] {
  return [...new Set(["timestamp", ...shapes.keys()])];
}

/** Formats by what columns hold: whole numbers whole, floats with what they have. */
export function formats(names: string[], shapes: Shapes): ViewerConfig {
  const columns_config: Record<string, Record<string, unknown>> = {};
  for (const name of names) {
    const shape = shapes.get(name);
    if (name === "_line" || name === "_pos" || shape?.isInteger) columns_config[name] = INTEGER;
    else if (shape?.isFloat) columns_config[name] = FLOAT;
    else if (name === "timestamp" || shape?.isTime) columns_config[name] = TIME;
    else if (shape?.isMedia) columns_config[name] = MEDIA;
    else if (shape?.isNested) columns_config[name] = LONG;
  }
  const hasMedia = [...shapes.values()].some((shape) => shape.isMedia);
  const row_height = ROW_HEIGHTS[hasMedia ? "medium" : "small"];
  return { columns_config, plugin_config: { row_height } };
}
