// The row that keys and clicks choose.

import type { CellMeta, RegularTable } from "./cells";

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

/** Marks a row, moves from row to row by arrows, and opens a row's details by Enter. */
export class Cursor {
  /** Whether rows can be chosen: groups have no details. */
  isOn = true;

  #row: number | null = null;

  constructor(
    private readonly grid: RegularTable,
    private readonly open: (row: number) => void,
  ) {
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("click", (event) => this.#set(this.#rowAt(event)));
    grid.addEventListener("dblclick", (event) => {
      const row = this.#rowAt(event);
      if (row !== null) open(row);
    });
  }

  /** Shows in a cell whether it is of the chosen row. */
  mark(cell: HTMLElement, meta: CellMeta): void {
    const chosen = this.isOn && meta.y === this.#row ? "yes" : "no";
    if (cell.dataset["stChosen"] !== chosen) cell.dataset["stChosen"] = chosen;
  }

  #rowAt(event: Event): number | null {
    const cell = (event.target as Element).closest?.("tbody td");
    const row = cell ? this.grid.getMeta(cell)?.y : undefined;
    return this.isOn && row !== undefined ? row : null;
  }

  #key(event: KeyboardEvent): void {
    if (!this.isOn || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const row = this.#row ?? this.#firstShown();
      void this.#go(Math.max(0, this.#row === null ? row : row + step));
    } else if (event.key === "Enter" && this.#row !== null) {
      event.preventDefault();
      this.open(this.#row);
    }
  }

  #firstShown(): number {
    const cell = this.grid.querySelector("tbody td");
    return (cell && this.grid.getMeta(cell)?.y) ?? 0;
  }

  async #go(row: number): Promise<void> {
    this.#row = row;
    const cells = [...this.grid.querySelectorAll<HTMLElement>("tbody td")];
    const shown = cells.map((cell) => this.grid.getMeta(cell)?.y ?? 0);
    const first = Math.min(...shown);
    // The last row that is drawn may be cut.
    const last = Math.max(...shown) - 2;
    const beyond = row < first ? row - first : Math.max(0, row - last);
    this.grid.scrollTop += beyond * (cells[0]?.offsetHeight ?? 0);
    await this.grid.draw();
  }

  #set(row: number | null): void {
    if (row === null || row === this.#row) return;
    this.#row = row;
    void this.grid.draw();
  }
}
