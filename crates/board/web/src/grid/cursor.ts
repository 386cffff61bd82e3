// The row and the cell that keys and clicks choose.

import type { CellMeta, RegularTable } from "./cells";
import { findRow, type Positions, rowAt } from "./walk";

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

export interface CursorEvents {
  /** Called when the details of a row were asked for. */
  onRow(y: number): void;
  /** Called when another row was chosen. */
  onChoose?(y: number): void;
  positions?(): Positions;
}

/**
 * Marks a row, moves from row to row by arrow keys, opens a row's details by Enter, and copies the
 * chosen cell by Ctrl+C. The mark stays with its row when rows are added above it.
 */
export class Cursor {
  /** Whether rows can be chosen: groups have no details. */
  isOn = true;

  #y: number | null = null;
  #x = 0;
  /** The chosen row's position in the table; null until it was read. */
  #position: number | null = null;
  /** Whether `#y` is where the chosen row is shown now. */
  #isPlaced = true;
  #rows: number | null = null;

  constructor(
    private readonly grid: RegularTable,
    private readonly events: CursorEvents,
  ) {
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("click", (event) => {
      const meta = this.#metaAt(event);
      if (!meta) return;
      this.#set(meta.y, meta.x);
      // A touch has no double click and no keys.
      const isTouch = event instanceof PointerEvent && event.pointerType === "touch";
      if (isTouch && !(event.target as Element).closest(".st-media, a")) events.onRow(meta.y);
    });
    grid.addEventListener("dblclick", (event) => {
      const meta = this.#metaAt(event);
      if (meta) events.onRow(meta.y);
    });
  }

  /** Call before each draw with the view's number of rows. */
  drawing(rows: number): void {
    const isChanged = this.#rows !== null && this.#rows !== rows;
    this.#rows = rows;
    if (isChanged && this.#position !== null) void this.#place(this.#position);
  }

  /** Marks a cell if it belongs to the chosen row. */
  mark(cell: HTMLElement, meta: CellMeta): void {
    const isRow = this.isOn && this.#isPlaced && meta.y === this.#y;
    const chosen = !isRow ? "no" : meta.x === this.#x ? "cell" : "yes";
    if (cell.dataset["stChosen"] !== chosen) cell.dataset["stChosen"] = chosen;
  }

  #metaAt(event: Event): CellMeta | null {
    const cell = (event.target as Element).closest?.("tbody td");
    const meta = cell ? this.grid.getMeta(cell) : undefined;
    return this.isOn && meta?.y !== undefined ? meta : null;
  }

  #key(event: KeyboardEvent): void {
    // Buttons in cells and headers have their own keys.
    if (!this.isOn || (event.target as Element).closest?.("button")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "c") {
      if (this.#copy()) event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step !== undefined) {
      event.preventDefault();
      void this.#go(this.#y === null ? this.#firstShown() : Math.max(0, this.#y + step));
    } else if (event.key === "Enter" && this.#y !== null) {
      event.preventDefault();
      this.events.onRow(this.#y);
    }
  }

  /** Copies the chosen cell's whole value; returns false if text is selected or no cell is chosen. */
  #copy(): boolean {
    if (this.#y === null || !(getSelection()?.isCollapsed ?? true)) return false;
    const cells = [...this.grid.querySelectorAll<HTMLElement>("tbody td")];
    const cell = cells.find((cell) => {
      const meta = this.grid.getMeta(cell);
      return meta?.y === this.#y && meta.x === this.#x;
    });
    const value = cell && this.grid.getMeta(cell)?.user;
    if (!cell || value === undefined) return false;
    const isInstant = cell.dataset["st"] === "time";
    void navigator.clipboard.writeText(isInstant ? cell.title : String(value ?? ""));
    return true;
  }

  #firstShown(): number {
    const cell = this.grid.querySelector("tbody td");
    return (cell && this.grid.getMeta(cell)?.y) ?? 0;
  }

  async #go(y: number): Promise<void> {
    this.#choose(y);
    const cells = [...this.grid.querySelectorAll<HTMLElement>("tbody td")];
    const shown = cells.map((cell) => this.grid.getMeta(cell)?.y ?? 0);
    const first = Math.min(...shown);
    // The last row that is drawn may be cut.
    const last = Math.max(...shown) - 2;
    const beyond = y < first ? y - first : Math.max(0, y - last);
    this.grid.scrollTop += beyond * (cells[0]?.offsetHeight ?? 0);
    await this.grid.draw();
  }

  #set(y: number, x: number): void {
    const isSame = y === this.#y && x === this.#x;
    this.#x = x;
    if (isSame) return;
    this.#choose(y);
    void this.grid.draw();
  }

  #choose(y: number): void {
    this.#y = y;
    this.#isPlaced = true;
    this.#position = null;
    this.events.onChoose?.(y);
    const positions = this.events.positions?.();
    if (!positions) return;
    rowAt("", positions, y).then(
      (row) => {
        if (this.#y === y && this.#isPlaced) this.#position = row?.position ?? null;
      },
      () => undefined,
    );
  }

  /** Finds where the chosen row is shown after rows were added. */
  async #place(position: number): Promise<void> {
    const positions = this.events.positions?.();
    const { sort = [] } = positions?.view() ?? {};
    // In the table's own order, new rows come last.
    if (!positions || this.#y === null || sort.length === 0) return;
    this.#isPlaced = false;
    const y = await findRow(positions, position, this.#y).catch(() => null);
    if (this.#position !== position) return;
    this.#y = y;
    this.#isPlaced = true;
    void this.grid.draw();
  }
}
