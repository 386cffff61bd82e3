// A board's document, as the server stores it.

import type { ViewerConfig } from "../live/perspective";
import type { Theme } from "../theme";
import { type Buckets, modernized } from "./buckets";
import type { EventSource } from "./events";
import type { Show } from "./sql";

export type PanelKind = "grid" | "chart" | "images" | "stat" | "text" | "drift" | "sql";

/** A panel's place, in columns of a grid of twelve and rows of 40 pixels. */
export interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface PanelDocument {
  id: string;
  title: string;
  table?: string;
  kind: PanelKind;
  config: ViewerConfig & {
    text?: string;
    buckets?: Buckets;
    /** How many rows at the beginning of the table a distribution is compared with; else those of the former period. */
    reference?: number;
    /** The query of a panel, and how its result is shown. */
    sql?: string;
    show?: Show;
  };
  layout: Place;
}

/** Which rows a board shows: the last ones, or those between two instants. */
export interface Range {
  last?: string | null;
  from?: string | null;
  to?: string | null;
}

export interface BoardDocument {
  format: 1;
  title: string;
  range: Range | null;
  refresh: "live" | "paused";
  theme: Theme;
  workspace: unknown;
  /** The events that charts over time mark. */
  events: EventSource[];
  /** The columns whose value a reader chooses. */
  variables: string[];
  panels: PanelDocument[];
}

/** Fills in what a document may leave out. */
export function completed(document: Partial<BoardDocument>): BoardDocument {
  const panels = (document.panels ?? []).map((panel) => ({
    ...panel,
    title: panel.title ?? "",
    config: modernized(panel.config ?? {}),
  }));
  return { ...emptyBoard(document.title ?? ""), ...document, panels };
}

/** A board of one panel, or of none. */
export function emptyBoard(
  title: string,
  panel?: { table: string; title: string; config: ViewerConfig },
): BoardDocument {
  const panels: PanelDocument[] = [];
  if (panel) {
    const { settings: _settings, ...config } = panel.config;
    const kind = config.plugin && config.plugin !== "Datagrid" ? "chart" : "grid";
    const layout = { x: 0, y: 0, w: 12, h: 12 };
    panels.push({ id: newId(), title: panel.title, table: panel.table, kind, config, layout });
  }
  return {
    format: 1,
    title,
    range: null,
    refresh: "live",
    theme: "auto",
    workspace: null,
    events: [],
    variables: [],
    panels,
  };
}

export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(36)).join("");
}

/** Returns a name that is not taken, near to a wanted one. */
export function freeName(wanted: string, taken: string[]): string {
  const stem = nameOf(wanted);
  if (!taken.includes(stem)) return stem;
  for (let i = 2; ; i++) {
    if (!taken.includes(`${stem}-${i}`)) return `${stem}-${i}`;
  }
}

/** Turns a title into a name for an address. */
export function nameOf(title: string): string {
  const name = title.trim().replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+|-+$/g, "");
  return name.slice(0, 100) || "board";
}
