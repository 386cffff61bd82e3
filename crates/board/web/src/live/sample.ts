// Samples of large tables: every n-th row, by its position.

import type { Table, ViewConfig } from "./perspective";
import { quoted } from "../sql-text";

/** The computed column by which a view is sampled. */
const SAMPLE = "streamtable sample";

/** Returns the name of a table's column of positions: the last one, whatever its name. */
export async function positionColumn(table: Table): Promise<string> {
  return (await table.columns()).at(-1) ?? "_pos";
}

/** Returns a view of every n-th row of the table that the filters of `view` let through. */
export function everyNth<V extends ViewConfig>(view: V, position: string, every: number): V {
  const expression = `${quoted(position)} % ${every}`;
  return {
    ...view,
    expressions: { ...view.expressions, [SAMPLE]: expression },
    filter: [...(view.filter ?? []), [SAMPLE, "==", 0]],
  };
}
