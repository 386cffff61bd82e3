// What a board was before, for undo.

/** How many steps are kept. */
const KEPT = 100;

/** States in the order in which they came, and the one that counts. */
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

  /** Adds a state; what was undone before is gone. One like the present adds nothing. */
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
