/** The view that the server put into the page. */
export type Start = { embed: boolean } & (PanelStart | HomeStart | BoardStart | RunsStart | MonitorsStart);

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
  /** Whether projects have pages of runs. */
  runs: boolean;
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

/** The runs or the artifacts of a project, or one of them: the rest of the address says which. */
export interface RunsStart {
  view: "runs";
  entity: string;
  project: string;
  /** Whether the reader may save boards. */
  writes: boolean;
}

/** The monitors of a project, or one of them: the rest of the address says which. */
export interface MonitorsStart {
  view: "monitors";
  entity: string;
  project: string;
  /** Whether the reader may change them. */
  writes: boolean;
}

export function readStart(): Start {
  return JSON.parse(document.getElementById("start")?.textContent ?? "{}") as Start;
}
