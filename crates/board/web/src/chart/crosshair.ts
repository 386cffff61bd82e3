// The instant under the pointer, which all charts over time on the page mark.

type Listener = (at: number | null) => void;

const listeners = new Set<Listener>();
let now: number | null = null;

/** Sets the instant; null if the pointer is in no chart. */
export function setInstant(at: number | null): void {
  if (at === now) return;
  now = at;
  for (const listener of listeners) listener(at);
}

export function onInstant(listener: Listener): () => void {
  listeners.add(listener);
  listener(now);
  return () => listeners.delete(listener);
}
