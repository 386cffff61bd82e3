// Printing: the page in light colours, at the width of the paper, with what the screen had no room for.

let printing = false;
const listeners = new Set<() => void>();

/** The longest time that a page waits for its charts and pictures before it is printed. */
const LONGEST_MS = 8_000;

/** How long nothing is missing before the page counts as drawn. */
const STILL_MS = 500;

export function isPrinting(): boolean {
  return printing;
}

/** Calls the listener when the page becomes what is printed, and when it is that no more. */
export function onPrint(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function set(isPrinted: boolean): void {
  if (printing === isPrinted) return;
  printing = isPrinted;
  document.documentElement.classList.toggle("printing", isPrinted);
  for (const listener of listeners) listener();
}

/** Prints the page once everything is drawn. */
export async function printPage(): Promise<void> {
  set(true);
  const end = Date.now() + LONGEST_MS;
  let still = Date.now();
  while (Date.now() < end && Date.now() - still < STILL_MS) {
    if (isMissing()) still = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  print();
}

function isMissing(): boolean {
  const isUndrawn = document.querySelector("main :is(.chart-canvas:not([data-drawn]), .viewer-host:not(:has([data-drawn])))") !== null;
  return isUndrawn || [...document.images].some((image) => !image.complete);
}

/** Call once: the browser's own command prints in the same way, as far as it waits. */
export function startPrinting(): void {
  addEventListener("beforeprint", () => set(true));
  addEventListener("afterprint", () => set(false));
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "p") return;
    event.preventDefault();
    void printPage();
  });
}
