// Walking from row to row in the order of a view.

import type { Table, ViewConfig } from "../live/perspective";
import { positionColumn } from "../live/sample";
import { read } from "./lookup";

/** How a view's rows are found while the grid may change. */
export interface Positions {
  table(): Promise<Table>;
  /** Returns the filters and the order of the view's rows. */
  view(): ViewConfig;
}

/** A row of a view. */
export interface RowAt {
  table: string;
  /** Its position in the table, which never changes. */
  position: number;
  /** Returns the row `by` rows further in the view, or null if there is none. */
  step(by: number): Promise<RowAt | null>;
}

/** How many rows around its last known place a row is looked for, in turn. */
const REACH = [1, 1_000, 100_000];

/** Returns the row that a view shows at `y`, or null if there is none. */
export async function rowAt(table: string, positions: Positions, y: number): Promise<RowAt | null> {
  const order = new Order(positions);
  try {
    return await order.row(table, y);
  } finally {
    await order.close();
  }
}

/** Returns where a view shows the row at a position that it showed at `y` before; null if nowhere near. */
export async function findRow(positions: Positions, position: number, y: number): Promise<number | null> {
  if (isTableOrder(positions.view())) return position;
  const order = new Order(positions);
  try {
    return await order.find(position, y);
  } finally {
    await order.close();
  }
}

function isTableOrder({ filter = [], sort = [] }: ViewConfig): boolean {
  return filter.length === 0 && sort.length === 0;
}

/** The positions of a view's rows, in the view's order at this moment. */
class Order {
  readonly #positions: Positions;
  readonly #view: Promise<{ view: Awaited<ReturnType<Table["view"]>>; column: string }>;

  constructor(positions: Positions) {
    this.#positions = positions;
    this.#view = this.#open();
  }

  async #open() {
    const table = await this.#positions.table();
    const column = await positionColumn(table);
    return { view: await table.view({ ...this.#positions.view(), columns: [column] }), column };
  }

  async #read(start: number, end: number): Promise<number[]> {
    const { view, column } = await this.#view;
    const rows = await view.num_rows();
    const first = Math.max(0, start);
    const last = Math.min(rows, end);
    if (first >= last) return [];
    return ((await read(view, first, last))[column] ?? []) as number[];
  }

  async row(table: string, y: number): Promise<RowAt | null> {
    const [position] = y < 0 ? [] : await this.#read(y, y + 1);
    if (position === undefined) return null;
    const step = async (by: number) => {
      const order = new Order(this.#positions);
      try {
        const now = await order.find(position, y);
        return await order.row(table, (now ?? y) + by);
      } finally {
        await order.close();
      }
    };
    return { table, position, step };
  }

  async find(position: number, y: number): Promise<number | null> {
    for (const reach of REACH) {
      const start = Math.max(0, y - reach);
      const found = (await this.#read(start, y + reach + 1)).indexOf(position);
      if (found >= 0) return start + found;
    }
    return null;
  }

  async close(): Promise<void> {
    const { view } = await this.#view;
    await view.delete();
  }
}
