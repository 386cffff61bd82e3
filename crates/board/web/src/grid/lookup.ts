// What stands in a view at a row, beyond the columns that the view shows.

import type { Filter, Table, View, ViewConfig, ViewerConfig } from "../live/perspective";
import { type Media, mediaOf } from "../values";

/** Returns the part of a viewer's configuration that decides its rows. */
export function rowsOf(config: ViewerConfig, outer: Filter[] = []): ViewConfig {
  return {
    filter: [...(config.filter ?? []), ...outer],
    sort: config.sort ?? [],
    expressions: config.expressions ?? {},
  };
}

/** Reads some rows of columns, as JSON values by column. */
export async function read(
  view: View,
  start_row: number,
  end_row: number,
): Promise<Record<string, unknown[]>> {
  return JSON.parse(await view.to_columns_string({ start_row, end_row })) as Record<string, unknown[]>;
}

/**
 * Returns where in the table the row stands that a view shows at `y`. A view in the table's own order
 * needs no question.
 */
export async function positionAt(table: Table, rows: ViewConfig, y: number): Promise<number | null> {
  if (!rows.filter?.length && !rows.sort?.length) return y;
  // It is the last column, whatever others are called.
  const column = (await table.columns()).at(-1) ?? "_pos";
  const view = await table.view({ ...rows, columns: [column] });
  try {
    const position = (await read(view, y, y + 1))[column]?.[0];
    return typeof position === "number" ? position : null;
  } finally {
    await view.delete();
  }
}

/** How many rows are searched for the next cell with a file. */
const REACH = 200;

/** Returns the file in a column's cell `step` files after (or before) row `y`. */
export async function mediaAt(
  table: Table,
  name: string,
  rows: ViewConfig,
  column: string,
  y: number,
  step: number,
): Promise<Media | null> {
  const view = await table.view({ ...rows, columns: [column] });
  try {
    const [start, end] = step < 0 ? [Math.max(0, y - REACH), y] : [y + 1, y + 1 + REACH];
    const cells = (await read(view, start, end))[column] ?? [];
    const files = cells.map((cell) => mediaOf(cell, name)).filter((media) => media !== null);
    return files.at(step < 0 ? step : step - 1) ?? null;
  } finally {
    await view.delete();
  }
}
