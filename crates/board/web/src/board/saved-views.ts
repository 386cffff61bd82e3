// The saved views of a table: the grids and charts of the table on one board of its project.
//
// So they have what boards have: versions, conflicts that are noticed, files, and a page that shows all of
// them. The board's name follows from the table's; other panels on it are left as they are.

import { api, ApiError } from "../api";
import type { ViewerConfig } from "../live/perspective";
import { type BoardDocument, completed, emptyBoard, nameOf, newId, type PanelDocument } from "./document";
import { bottom } from "./layout";

export interface SavedView {
  id: string;
  title: string;
  config: ViewerConfig;
}

/** A change to the views of a table. */
export type ViewChange =
  | { kind: "add"; view: SavedView }
  | { kind: "set"; id: string; title?: string; config?: ViewerConfig }
  | { kind: "remove"; id: string };

/** How often a change is made again after somebody else changed the board. */
const TRIES = 4;

/** The size of a view on its board. */
const SIZE = { x: 0, w: 12, h: 10 };

/** Returns the name of the board that has the views of a table. */
export function boardOfViews(table: string): string {
  return `${nameOf(table.split("/").at(-1) ?? table)}.views`;
}

/** Reads the views of a table, given its full name. */
export async function readViews(table: string): Promise<SavedView[]> {
  return viewsIn((await load(table)).document, table);
}

/** Changes the views of a table and returns all of them, other readers' changes included. */
export async function changeViews(table: string, change: ViewChange): Promise<SavedView[]> {
  const [entity = "", project = ""] = table.split("/");
  for (let tries = 1; ; tries++) {
    const { document, etag } = await load(table);
    const changed = withChange(document, table, change);
    try {
      await api.saveBoard([entity, project, boardOfViews(table)], changed, etag);
      return viewsIn(changed, table);
    } catch (error) {
      const isConflict = error instanceof ApiError && error.status === 412;
      if (!isConflict || tries === TRIES) throw error;
    }
  }
}

async function load(table: string): Promise<{ document: BoardDocument; etag: string }> {
  const [entity = "", project = "", name = ""] = table.split("/");
  const board = boardOfViews(table);
  // The list says whether there is such a board, without an error if there is none.
  const boards = await api.boards(entity, project);
  if (!boards.some((it) => it.name === board)) return { document: emptyBoard(`${name}: saved views`), etag: "new" };
  const { document, etag } = await api.board(entity, project, board);
  return { document: completed(document), etag };
}

function isView(panel: PanelDocument, table: string): boolean {
  return panel.table === table && (panel.kind === "grid" || panel.kind === "chart");
}

export function viewsIn({ panels }: BoardDocument, table: string): SavedView[] {
  return panels.filter((panel) => isView(panel, table)).map(({ id, title, config }) => ({ id, title, config }));
}

/** Applies a change to a board of views. A view that somebody else removed stays removed. */
export function withChange(document: BoardDocument, table: string, change: ViewChange): BoardDocument {
  const { panels } = document;
  switch (change.kind) {
    case "add":
      return { ...document, panels: [...panels, panelOf(change.view, table, bottom(panels))] };
    case "remove":
      return { ...document, panels: panels.filter(({ id }) => id !== change.id) };
    case "set":
      return {
        ...document,
        panels: panels.map((panel) => {
          if (panel.id !== change.id || !isView(panel, table)) return panel;
          const { id, title, config } = { ...panel, ...change };
          const { kind } = panelOf({ id, title, config }, table, 0);
          return { ...panel, title, kind, config };
        }),
      };
  }
}

function panelOf({ id, title, config }: SavedView, table: string, y: number): PanelDocument {
  const isGrid = (config.plugin ?? "Datagrid") === "Datagrid";
  return { id, title, table, kind: isGrid ? "grid" : "chart", config, layout: { ...SIZE, y } };
}

/** Makes a saved view of the current state. */
export function newView(title: string, config: ViewerConfig): SavedView {
  return { id: newId(), title, config: kept(config) };
}

/** Returns the part of a configuration that a view keeps: not how the reader looks at it. */
export function kept(config: ViewerConfig): ViewerConfig {
  const { settings: _settings, theme: _theme, title: _title, version: _version, table: _table, ...rest } = config;
  return rest;
}

/** Returns whether two configurations show the same. */
export function isSameView(a: ViewerConfig, b: ViewerConfig): boolean {
  return JSON.stringify(sorted(kept(a))) === JSON.stringify(sorted(kept(b)));
}

/** Sorts the members of objects, and drops the empty ones of the first level. */
function sorted(config: ViewerConfig): unknown {
  const isEmpty = (value: unknown) => value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
  const order = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(order);
    if (typeof value !== "object" || value === null) return value;
    return Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, it]) => [key, order(it)]);
  };
  return order(Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value))));
}
