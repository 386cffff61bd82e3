// The part of the server's HTTP API that the pages of monitors use.

import { api, path, send } from "../api";
import { cellsOf } from "../json";
import type { Bounds, MonitorDocument, MonitorState } from "./document";
import { textLiteral } from "../sql-text";

export interface MonitorSummary {
  name: string;
  title: string;
  updated: string;
  author: string | null;
  /** Absent until the monitor was evaluated. */
  table?: string;
  kind?: string;
  severity?: string;
  state?: MonitorState;
  value?: number | string | null;
  since?: string | null;
  bounds?: Bounds | null;
  groups?: number;
  firing?: number;
  evaluated?: string | null;
  silenced?: boolean;
}

export interface Group {
  group: string;
  state: MonitorState;
  since: string | null;
  value: number | string | null;
  error: string | null;
}

export interface Silence {
  until: string;
  group: string | null;
  reason: string;
  by: string;
}

export interface StateOfMonitor extends Omit<MonitorSummary, "groups"> {
  groups: Group[];
  ignored: number;
  silences: Silence[];
}

/** The result of a test. */
export interface Tried {
  error?: string;
  groups?: Group[];
  messages?: { target: string; sent: boolean; error?: string }[];
}

/** A row of `_monitors`. */
export interface Transition {
  group: string;
  from: string;
  to: MonitorState;
  value: number | string | null;
  message: string;
  time: string;
}

export interface Place {
  entity: string;
  project: string;
}

const JSON_BODY = { "content-type": "application/json" };

const of = ({ entity, project }: Place, ...rest: string[]) => `/api/monitors/${path(entity, project, ...rest)}`;

const read = async <T>(answer: Promise<Response>) => (await (await answer).json()) as T;

export const monitors = {
  list: (place: Place) => read<MonitorSummary[]>(send(of(place))),

  state: (place: Place, name: string) => read<StateOfMonitor>(send(of(place, name, "state"))),

  async get(place: Place, name: string): Promise<{ document: Partial<MonitorDocument>; etag: string }> {
    const answer = await send(of(place, name));
    return { document: (await answer.json()) as Partial<MonitorDocument>, etag: answer.headers.get("etag") ?? "" };
  },

  /** Saves over the version that `etag` names; over any where it is null; as a new one for `"new"`. */
  async save(place: Place, name: string, document: MonitorDocument, etag: string | null): Promise<string> {
    const headers: Record<string, string> = { ...JSON_BODY };
    if (etag === "new") headers["if-none-match"] = "*";
    else if (etag) headers["if-match"] = etag;
    const answer = await send(of(place, name), { method: "PUT", body: JSON.stringify(document), headers });
    return answer.headers.get("etag") ?? "";
  },

  remove: (place: Place, name: string) => send(of(place, name), { method: "DELETE" }),

  /** Evaluates a document that need not be saved. */
  tryOut: (place: Place, document: MonitorDocument) =>
    read<Tried>(send(of(place), { method: "POST", body: JSON.stringify(document), headers: JSON_BODY })),

  /** Evaluates a saved monitor, and sends a test message to its targets. */
  sendTest: (place: Place, name: string) => read<Tried>(send(`${of(place, name, "test")}?send=true`, { method: "POST" })),

  silence: (place: Place, name: string, silence: { until: string; reason: string }) =>
    read<Silence[]>(send(of(place, name, "silence"), { method: "POST", body: JSON.stringify(silence), headers: JSON_BODY })),

  unsilence: (place: Place, name: string) => read<Silence[]>(send(of(place, name, "silence"), { method: "DELETE" })),

  /** Returns the names of the targets of a project. */
  async targets({ entity, project }: Place): Promise<string[]> {
    const found = await read<{ name: string }[]>(send(`/api/targets/${path(entity, project)}`));
    return found.map(({ name }) => name);
  },

  /** Returns the last transitions of a monitor, newest first. The table is made by the first one. */
  async transitions({ entity, project }: Place, name: string): Promise<Transition[]> {
    const made = await api.tables(entity, project);
    if (!made.some(({ table }) => table === "_monitors")) return [];
    const sql = `SELECT "group", "from", "to", value, message, time FROM "_monitors" WHERE monitor = ${textLiteral(name)} ORDER BY time DESC LIMIT ${MOST}`;
    const { lines } = await api.queryLines(sql, [entity, project], MOST);
    return lines.map((line) => Object.fromEntries(cellsOf(line).map(([key, cell]) => [key, JSON.parse(cell)])) as unknown as Transition);
  },
};

/** How many transitions are shown. */
const MOST = 50;
