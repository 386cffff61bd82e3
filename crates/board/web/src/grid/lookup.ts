// Reads of a view's rows, beyond the columns that the view shows.

import { NO_OVERLAY, type Overlay, overlaid } from "../live/overlay";
import type { Table, View, ViewConfig, ViewerConfig } from "../live/perspective";
import { type Media, mediaOf } from "../values";

/** Returns the part of a viewer's configuration that decides its rows and their order. */
export function rowsOf(config: ViewerConfig, overlay: Overlay = NO_OVERLAY): ViewConfig {
  const { filter = [], sort = [], expressions = {} } = overlaid(config, overlay);
  return { filter, sort, expressions };
}

/** Reads some rows of columns, as JSON values by column. */
export async function read(
  view: View,
  start_row: number,
  end_row: number,
): Promise<Record<string, unknown[]>> {
  return JSON.parse(await view.to_columns_string({ start_row, end_row })) as Record<string, unknown[]>;
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
