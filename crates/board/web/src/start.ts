/** The view that the server put into the page. */
export type Start = { embed: boolean } & (PanelStart | HomeStart | BoardStart);

/** The panel of a table. */
export interface PanelStart {
  view: "panel";
  entity: string;
  project: string;
  table: string;
  expr: string;
  /** Whether the reader may save boards. */
  writes: boolean;
}

/** The tables and boards of all entities, of one, or of a project. */
export interface HomeStart {
  view: "home";
  entity: string | null;
  project: string | null;
  /** Whether the reader may make boards. */
  writes: boolean;
}

/** A board. */
export interface BoardStart {
  view: "board";
  entity: string;
  project: string;
  board: string;
  /** Whether the reader may save it, and delete it. */
  writes: boolean;
}

export function readStart(): Start {
  return JSON.parse(document.getElementById("start")?.textContent ?? "{}") as Start;
}
