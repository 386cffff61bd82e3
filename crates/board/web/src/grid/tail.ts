// Following a table's newest rows.

import type { RegularTable } from "./cells";

/** A grid counts as at its end within this distance. */
const NEAR_PX = 4;

/**
 * Keeps a grid at its end while rows are added. Scrolling away from the end stops it. It never starts by
 * itself, so that the last rows stay for a reader.
 */
export class Tail {
  #isOn = false;
  #height = 0;
  #rows = 0;
  /** Whether the next scroll event is our own, of a grid that draws its end anyway. */
  #isKnown = false;
  #grid: RegularTable | null = null;
  readonly #listeners = new Set<(isOn: boolean) => void>();

  onChange(listener: (isOn: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(grid: RegularTable, isOn: boolean): void {
    this.#listenTo(grid);
    this.#turn(isOn);
    if (isOn) this.#toEnd(grid);
  }

  /**
   * Call before each draw with the number of rows. Makes room for new rows, so that the grid draws its
   * end once, instead of its former place and then its end.
   */
  drawing(grid: RegularTable, rows: number): void {
    const came = rows - this.#rows;
    this.#rows = rows;
    const panel = grid.shadowRoot?.querySelector<HTMLElement>(".rt-virtual-panel");
    if (!this.#isOn || came <= 0 || !panel) return;
    const row = grid.querySelector<HTMLElement>("tbody tr")?.offsetHeight ?? 0;
    // An estimate, so that the scroll bar does not jump; the draw sets the exact height.
    panel.style.height = `${panel.offsetHeight + came * row}px`;
    const before = grid.scrollTop;
    this.#toEnd(grid);
    this.#isKnown = grid.scrollTop !== before;
  }

  /** Call after each draw of the grid. */
  drawn(grid: RegularTable): void {
    this.#listenTo(grid);
    if (this.#isOn && grid.scrollHeight !== this.#height) this.#toEnd(grid);
    this.#height = grid.scrollHeight;
  }

  #listenTo(grid: RegularTable): void {
    if (this.#grid === grid) return;
    this.#grid = grid;
    // A grid draws once more for each scroll event.
    const onScroll = (event: Event) => {
      if (this.#isKnown && this.#isAtEnd(grid)) event.stopImmediatePropagation();
      this.#isKnown = false;
    };
    grid.addEventListener("scroll", onScroll, { capture: true, passive: true });
    const left = () => {
      // After the scroll that the event is about.
      requestAnimationFrame(() => {
        if (!this.#isAtEnd(grid)) this.#turn(false);
      });
    };
    grid.addEventListener("wheel", (event) => event.deltaY < 0 && left(), { passive: true });
    grid.addEventListener("touchmove", left, { passive: true });
    grid.addEventListener("keydown", (event) => {
      if (["ArrowUp", "PageUp", "Home"].includes(event.key)) left();
    });
    grid.addEventListener("pointerdown", (event) => {
      // A press on the scroll bar has the grid itself as its target.
      if (event.target === grid) left();
    });
  }

  #isAtEnd(grid: RegularTable): boolean {
    return grid.scrollTop >= grid.scrollHeight - grid.clientHeight - NEAR_PX;
  }

  #toEnd(grid: RegularTable): void {
    grid.scrollTop = grid.scrollHeight;
  }

  #turn(isOn: boolean): void {
    if (this.#isOn === isOn) return;
    this.#isOn = isOn;
    for (const listener of this.#listeners) listener(isOn);
  }
}
