// The former states of a board, for undo.

/** The number of states that are kept. */
const KEPT = 100;

/** The states in order, and which of them is the present one. */
export class History<T> {
  #states: T[];
  #at = 0;

  constructor(first: T) {
    this.#states = [first];
  }

  get now(): T {
    return this.#states[this.#at] as T;
  }

  get canUndo(): boolean {
    return this.#at > 0;
  }

  get canRedo(): boolean {
    return this.#at < this.#states.length - 1;
  }

  /** Adds a state and drops those that were undone. A state like the present one is not added. */
  push(state: T): void {
    if (JSON.stringify(state) === JSON.stringify(this.now)) return;
    this.#states = [...this.#states.slice(0, this.#at + 1), state].slice(-KEPT);
    this.#at = this.#states.length - 1;
  }

  undo(): void {
    if (this.canUndo) this.#at -= 1;
  }

  redo(): void {
    if (this.canRedo) this.#at += 1;
  }
}
