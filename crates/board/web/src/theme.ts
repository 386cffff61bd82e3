// Light or dark: the system's theme, or the user's choice.

import { isPrinting, onPrint } from "./print";

export type Theme = "auto" | "light" | "dark";

const KEY = "streamtable-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let board: Theme = "auto";

/** Returns the user's choice on this machine. */
export function chosenTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export function isDark(): boolean {
  if (isPrinting()) return false;
  const chosen = chosenTheme();
  const theme = chosen === "auto" ? board : chosen;
  return theme === "auto" ? dark.matches : theme === "dark";
}

/** Returns the name of the viewer's theme that fits the page's. */
export function viewerTheme(): string {
  return isDark() ? "Pro Dark" : "Pro Light";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  apply();
}

/** Sets a board's own theme, which applies unless the user chose one. */
export function setBoardTheme(theme: Theme): void {
  board = theme;
  apply();
}

export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function startTheme(): void {
  dark.addEventListener("change", apply);
  onPrint(apply);
  apply();
}

function apply(): void {
  const theme = isDark() ? "dark" : "light";
  if (document.documentElement.dataset["theme"] === theme) return;
  document.documentElement.dataset["theme"] = theme;
  for (const listener of listeners) listener();
}
