// The part of the server's HTTP API that the page uses.

import type { BoardDocument } from "./board/document";

/** An error answer of the server; the status is 0 if there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown = null,
  ) {
    super(message);
  }
}

export interface TableSummary {
  name: string;
  entity: string;
  project: string;
  table: string;
  rows: number;
  bytes: number;
  created_at: string;
  last_write: string;
}

export interface Column {
  name: string;
  type: string;
}

export interface BoardSummary {
  name: string;
  title: string;
  version: number;
  updated: string;
  author: string | null;
}

export interface Template {
  name: string;
  title: string;
  about: string;
  fits: boolean;
  /** Why the table does not fit. */
  reason: string | null;
}

export interface Templates {
  templates: Template[];
  /** The aggregate that fits each column. */
  columns: { name: string; aggregate: string }[];
}

/** A key, without its secret but in the answer that makes it. */
export interface Key {
  id: string;
  name: string;
  entity: string | null;
  right: string;
  created_at: string;
  revoked_at: string | null;
  key?: string;
}

/** A row as JSON, its text untouched: integers may be longer than a double holds. */
export interface RowText {
  position: number;
  json: string;
}

/** Sends a request, and returns its answer; an answer that is an error is thrown. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...init });
  } catch {
    throw new ApiError(0, "the server cannot be reached");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) logIn();
  const body: unknown = await answer.json().catch(() => null);
  throw new ApiError(answer.status, messageOf(body) ?? `the server answered ${answer.status}`, body);
}

function messageOf(body: unknown): string | undefined {
  const errors = (body as { errors?: { message?: string }[] } | null)?.errors;
  return errors?.[0]?.message;
}

/** Goes to the login page, which comes back here. */
export function logIn(): void {
  const here = location.pathname + location.search;
  location.assign(`/login?next=${encodeURIComponent(here)}`);
}

/** Writes a path of names, each encoded. */
export function path(...parts: string[]): string {
  return parts.map(encodeURIComponent).join("/");
}

/** Writes the address of a table's part from its full name, `entity/project/table`. */
function table(name: string, part = ""): string {
  return `/api/tables/${path(...name.split("/"))}${part}`;
}

function board(entity: string, project: string, name: string): string {
  return `/api/boards/${path(entity, project, name)}`;
}

export const api = {
  async tables(entity: string | null, project: string | null): Promise<TableSummary[]> {
    const query = new URLSearchParams();
    if (entity) query.set("entity", entity);
    if (project) query.set("project", project);
    const answer = await send(`/api/tables?${query}`);
    return ((await answer.json()) as { tables: TableSummary[] }).tables;
  },

  async table(name: string): Promise<TableSummary> {
    return (await send(table(name))).json() as Promise<TableSummary>;
  },

  async schema(name: string): Promise<Column[]> {
    const answer = await send(table(name, "/schema"));
    return ((await answer.json()) as { columns: Column[] }).columns;
  },

  async row(name: string, position: number): Promise<RowText | null> {
    const answer = await send(table(name, `/rows?from=${position}&limit=1`));
    const line = (await answer.text()).split("\n")[0];
    return line ? { position, json: line } : null;
  },

  /** Appends a row to a table, which is made if there is none. */
  async log(name: string, row: object): Promise<void> {
    const headers = { "content-type": "application/x-ndjson" };
    const answer = await send(table(name, "/rows"), { method: "POST", body: JSON.stringify(row), headers });
    const { rejected } = (await answer.json()) as { rejected: { reason: string }[] };
    const [first] = rejected;
    if (first) throw new ApiError(400, first.reason, first);
  },

  async export(name: string, config: unknown, format: string): Promise<Blob> {
    const body = JSON.stringify({ config, format });
    const headers = { "content-type": "application/json" };
    return (await send(table(name, "/export"), { method: "POST", body, headers })).blob();
  },

  async templates(name: string): Promise<Templates> {
    return (await send(table(name, "/templates"))).json() as Promise<Templates>;
  },

  async generated(name: string, template: string): Promise<BoardDocument> {
    const answer = await send(table(name, `/board?template=${template}`));
    return answer.json() as Promise<BoardDocument>;
  },

  async boards(entity: string, project: string): Promise<BoardSummary[]> {
    return (await send(`/api/boards/${path(entity, project)}`)).json() as Promise<BoardSummary[]>;
  },

  /** Returns the versions of a board that the server keeps, newest first. */
  async versions(entity: string, project: string, name: string): Promise<BoardSummary[]> {
    const answer = await send(`${board(entity, project, name)}/versions`);
    return answer.json() as Promise<BoardSummary[]>;
  },

  async board(entity: string, project: string, name: string, version?: number) {
    const query = version === undefined ? "" : `?version=${version}`;
    const answer = await send(board(entity, project, name) + query);
    const etag = answer.headers.get("etag") ?? "";
    return { document: (await answer.json()) as Partial<BoardDocument>, etag };
  },

  /** Saves over the version that `etag` names; over any where it is null; as a new one for `"new"`. */
  async saveBoard(
    [entity, project, name]: [string, string, string],
    document: BoardDocument,
    etag: string | null,
  ): Promise<string> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (etag === "new") headers["if-none-match"] = "*";
    else if (etag) headers["if-match"] = etag;
    const body = JSON.stringify(document);
    const answer = await send(board(entity, project, name), { method: "PUT", body, headers });
    return answer.headers.get("etag") ?? "";
  },

  /** Runs a query, and returns its rows. */
  async query(sql: string): Promise<Record<string, unknown>[]> {
    const body = JSON.stringify({ sql, format: "json" });
    const headers = { "content-type": "application/json" };
    return (await send("/api/query", { method: "POST", body, headers })).json() as Promise<Record<string, unknown>[]>;
  },

  /** Runs a query of a project, and returns its first rows as lines of JSON. */
  async queryLines(sql: string, [entity, project]: [string, string], most: number): Promise<{ lines: string[]; isCut: boolean }> {
    const body = JSON.stringify({ sql, entity, project, format: "jsonl" });
    const headers = { "content-type": "application/json" };
    const answer = await send("/api/query", { method: "POST", body, headers });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let count = 0;
    try {
      for (let part = await reader?.read(); part?.value !== undefined && count <= most; part = await reader?.read()) {
        text += part.value;
        count += part.value.split("\n").length - 1;
      }
    } catch {
      throw new ApiError(0, "the query failed before its last row");
    }
    if (count > most) await reader?.cancel();
    return { lines: text.split("\n").filter(Boolean).slice(0, most), isCut: count > most };
  },

  /** Sends a query to the API for W&B clients. */
  async graphql<T>(query: string, variables: object): Promise<T> {
    const body = JSON.stringify({ query, variables });
    const headers = { "content-type": "application/json" };
    const answer = (await (await send("/graphql", { method: "POST", body, headers })).json()) as { data: T };
    const refusal = messageOf(answer);
    if (refusal !== undefined) throw new ApiError(400, refusal, answer);
    return answer.data;
  },

  async keys(): Promise<Key[]> {
    return (await send("/api/keys")).json() as Promise<Key[]>;
  },

  /** Makes a key for an entity; for all of them if its name is empty. */
  async addKey(name: string, entity: string, right: string): Promise<Key> {
    const body = JSON.stringify({ name, right, ...(entity && { entity }) });
    const headers = { "content-type": "application/json" };
    return (await send("/api/keys", { method: "POST", body, headers })).json() as Promise<Key>;
  },

  async revokeKey(id: string): Promise<void> {
    await send(`/api/keys/${encodeURIComponent(id)}`, { method: "DELETE" });
  },

  /** Ends the session of this browser. */
  async logOut(): Promise<void> {
    await fetch("/logout", { method: "POST", credentials: "same-origin", redirect: "manual" });
  },

  async deleteBoard(entity: string, project: string, name: string): Promise<void> {
    await send(board(entity, project, name), { method: "DELETE" });
  },
};

/** The link that opens a table's panel. */
export function panelLink(entity: string, project: string, name: string): string {
  const expr = `get(\n    "wandb-artifact:///${entity}/${project}/${name}:latest/obj")\n  .rows`;
  return `/?exp=${encodeURIComponent(expr).replace(/%20/g, "+")}`;
}

export function boardLink(entity: string, project: string, name: string): string {
  return `/${path(entity, project)}/boards/${encodeURIComponent(name)}`;
}
