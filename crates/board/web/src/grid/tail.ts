// Following a table's newest rows.

import type { RegularTable } from "./cells";

/** How near to its end a grid counts as being there. */
const NEAR_PX = 4;

/**
 * Keeps a grid at its end while rows come. Scrolling away from the end stops it; it does not begin by
 * itself, for somebody who reads the last rows wants them to stay.
 */
export class Tail {
  #isOn = false;
  #height = 0;
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

  /** Is told of each draw of the grid. */
  drawn(grid: RegularTable): void {
    this.#listenTo(grid);
    if (this.#isOn && grid.scrollHeight !== this.#height) this.#toEnd(grid);
    this.#height = grid.scrollHeight;
  }

  #listenTo(grid: RegularTable): void {
    if (this.#grid === grid) return;
    this.#grid = grid;
    const left = () => {
      // After the scroll that the event is about.
      requestAnimationFrame(() => {
        if (grid.scrollTop < grid.scrollHeight - grid.clientHeight - NEAR_PX) this.#turn(false);
      });
    };
    grid.addEventListener("wheel", (event) => event.deltaY < 0 && left(), { passive: true });
    grid.addEventListener("touchmove", left, { passive: true });
    grid.addEventListener("keydown", (event) => {
      if (["ArrowUp", "PageUp", "Home"].includes(event.key)) left();
    });
    grid.addEventListener("pointerdown", (event) => {
      // The scroll bar is the grid's own; cells are not.
      if (event.target === grid) left();
    });
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
