// Pinned columns: they stay in sight while the others are scrolled.

import pinsText from "../style/pins.shadow.css";
import type { RegularTable } from "./cells";

/** Pinned columns stay in sight up to this share of the grid's width: the others need room. */
const MOST_SHARE = 0.6;

/** The grid's own setting: which directions draw only what is on the screen. */
const DRAWN = "--datagrid-virtual-mode";

const sheet = new CSSStyleSheet();
sheet.replaceSync(pinsText);

/** The pinned columns of a grid. A grid that has some draws all columns, and the browser keeps them in place. */
export class Pins {
  /** Where each pinned column stays, in pixels from the left. */
  #places = new Map<string, number>();
  #isOn = false;
  /** The names with which the grid was drawn. */
  #drawn = "";

  constructor(
    private readonly grid: RegularTable,
    private readonly names: () => readonly string[],
  ) {}

  /** Returns whether the grid must be drawn as a whole, because other columns are pinned now. */
  isStale(): boolean {
    return this.#drawn !== this.names().join("\n");
  }

  /** Call before a view is drawn; groups and splits have no pinned columns. */
  begin(isFlat: boolean): void {
    this.#drawn = this.names().join("\n");
    const isOn = isFlat && this.#drawn !== "";
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    if (isOn) this.grid.style.setProperty(DRAWN, "vertical");
    else this.grid.style.removeProperty(DRAWN);
    const root = this.grid.shadowRoot;
    if (!root) return;
    const others = root.adoptedStyleSheets.filter((it) => it !== sheet);
    root.adoptedStyleSheets = isOn ? [...others, sheet] : others;
    this.grid.toggleAttribute("data-st-pins", isOn);
  }

  /** Call after each draw with the headers by their columns, before the cells are given to `place`. */
  measure(headers: ReadonlyMap<string, HTMLElement>): void {
    this.#places = new Map();
    if (!this.#isOn) return;
    const names = new Set(this.names());
    const most = this.grid.clientWidth * MOST_SHARE;
    let left = 0;
    for (const [column, header] of headers) {
      if (!names.has(column)) continue;
      const width = header.offsetWidth;
      if (left + width > most) break;
      this.#places.set(column, left);
      left += width;
    }
  }

  /** Keeps a cell in place if its column is pinned. Cells are reused for other columns. */
  place(cell: HTMLElement, column: string): void {
    const left = this.#places.get(column);
    if (left === undefined && cell.dataset["stPinned"] === undefined) return;
    if (left === undefined) {
      delete cell.dataset["stPinned"];
      cell.style.removeProperty("left");
      return;
    }
    cell.dataset["stPinned"] = "yes";
    cell.style.left = `${left}px`;
  }
}

/** Pins a column, at the end of those that are pinned, or lets it go. */
export function pinned(columns: (string | null)[], pins: string[], column: string): { columns: (string | null)[]; pinned: string[] } {
  if (pins.includes(column)) return { columns, pinned: pins.filter((it) => it !== column) };
  const now = [...pins, column];
  const rest = columns.filter((it) => it === null || !now.includes(it));
  return { columns: [...now.filter((it) => columns.includes(it)), ...rest], pinned: now };
}
