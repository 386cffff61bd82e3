// The state of a page in its address: a link opens the same view.

import type { Range } from "./board/document";
import type { ViewerConfig } from "./live/perspective";

const PREFIX = "#view=";

/** Reads a view from the address; null where there is none, or none that can be read. */
export async function viewInAddress(): Promise<ViewerConfig | null> {
  const text = hashParameters().get("view");
  if (!text) return null;
  try {
    return JSON.parse(await inflate(text)) as ViewerConfig;
  } catch {
    return null;
  }
}

/** Returns the saved view that the address names. */
export function savedInAddress(): string | null {
  return hashParameters().get("saved");
}

/** The contents of a table's address. */
export interface ViewAddress {
  /** The current view; null if it equals the saved view. */
  config: ViewerConfig | null;
  /** The saved view that is shown, or from which the shown one was made. */
  saved?: string | null;
  /** Adds an entry to the history, so that Back undoes it. */
  isStep?: boolean;
}

/** Writes a view into the address. */
export async function putViewInAddress({ config, saved = null, isStep = false }: ViewAddress): Promise<void> {
  const parts = [config && (await viewHash(config)).slice(1), saved !== null && `saved=${encodeURIComponent(saved)}`];
  const hash = parts.filter(Boolean).join("&");
  const address = `${location.pathname}${location.search}${hash && `#${hash}`}`;
  if (address === location.pathname + location.search + location.hash) return;
  if (isStep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

/** Returns the part of a link that opens a view of a table. */
export async function viewHash(config: ViewerConfig): Promise<string> {
  return PREFIX + (await deflate(JSON.stringify(config)));
}

/** The source of a new board. */
export interface NewBoard {
  /** The full name of the table. */
  table: string;
  template: string;
  /** The view to show, for the template `view`. */
  config?: ViewerConfig;
}

/** How a reader looks at a board: not part of the board. */
export interface BoardState {
  /** Null for all rows; undefined for the board's own range. */
  range?: Range | null;
  isPaused?: boolean;
  /** The chosen values of the board's variables. */
  values?: Record<string, string>;
}

/** The prefix of variables in an address. */
const VARIABLE = "var.";

/** Returns the part of an address that makes a new board, which is saved when the user saves it. */
export async function newBoardHash(board: NewBoard): Promise<string> {
  return `#new=${await deflate(JSON.stringify(board))}`;
}

export async function newBoardInAddress(): Promise<NewBoard | null> {
  const text = hashParameters().get("new");
  if (!text) return null;
  try {
    return JSON.parse(await inflate(text)) as NewBoard;
  } catch {
    return null;
  }
}

/** Removes from the address that the board is new: it was saved. */
export function dropNewBoard(): void {
  const parameters = hashParameters();
  parameters.delete("new");
  history.replaceState(null, "", addressWith(parameters));
}

export function boardStateInAddress(): BoardState {
  const parameters = hashParameters();
  const state: BoardState = {};
  const [last, from, to] = ["last", "from", "to"].map((name) => parameters.get(name));
  if (last === "all") state.range = null;
  else if (last) state.range = { last };
  else if (from || to) state.range = { from: from ?? null, to: to ?? null };
  const refresh = parameters.get("refresh");
  if (refresh) state.isPaused = refresh === "paused";
  const values = [...parameters].filter(([name]) => name.startsWith(VARIABLE));
  if (values.length > 0) state.values = Object.fromEntries(values.map(([name, value]) => [name.slice(VARIABLE.length), value]));
  return state;
}

/** Writes how a board is looked at into the address, with an entry in the history. */
export function putBoardState({ range, isPaused, values = {} }: BoardState): void {
  const parameters = hashParameters();
  const written = [...parameters.keys()].filter((name) => STATE.has(name) || name.startsWith(VARIABLE));
  for (const name of written) parameters.delete(name);
  if (range === null) parameters.set("last", "all");
  if (range?.last) parameters.set("last", range.last);
  if (range?.from) parameters.set("from", range.from);
  if (range?.to) parameters.set("to", range.to);
  if (isPaused !== undefined) parameters.set("refresh", isPaused ? "paused" : "live");
  for (const [name, value] of Object.entries(values)) parameters.set(VARIABLE + name, value);
  history.pushState(null, "", addressWith(parameters));
}

/** The names of the other parts of a board's state. */
const STATE = new Set(["last", "from", "to", "refresh"]);

function hashParameters(): URLSearchParams {
  return new URLSearchParams(location.hash.slice(1));
}

function addressWith(parameters: URLSearchParams): string {
  const hash = parameters.size > 0 ? `#${parameters}` : "";
  return `${location.pathname}${location.search}${hash}`;
}

async function deflate(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function inflate(text: string): Promise<string> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}
