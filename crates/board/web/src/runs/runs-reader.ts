// Reads the runs of a project.

import { api } from "../api";
import type { Place } from "./address";
import type { RunSummary } from "./run";

/** The most runs that are read: the newest ones. */
const MOST_RUNS = 2_000;

/** How many runs one request reads in full. */
const CHUNK = 500;

/** The most runs that are read by their names; if more are needed, all are read. */
const FEW = 200;

/** How many runs one request reads by their names: it is as long as the server allows. */
const NAMED = 50;

/** What changes while a run is active. */
type Changing = Pick<RunSummary, "name" | "state" | "updatedAt" | "heartbeatAt">;

const CHANGING = "name state updatedAt heartbeatAt";
const SUMMARY = `${CHANGING} tableName displayName createdAt group jobType tags user { name } notes config summaryMetrics`;

export interface Runs {
  /** How many runs the project has: there may be more than `runs`. */
  total: number;
  /** Newest first. */
  runs: RunSummary[];
}

interface Page<T> {
  total: number;
  nodes: T[];
}

/** Reads the runs of a project again and again; of those that it knows, only what has changed. */
export class RunsReader {
  #known = new Map<string, RunSummary>();
  /** How many older runs are not read. */
  #older = 0;

  constructor(private readonly place: Place) {}

  async read(): Promise<Runs> {
    const { total, nodes } = await this.#newest();
    const isChanged = ({ name, updatedAt }: Changing) => this.#known.get(name)?.updatedAt !== updatedAt;
    const changed = nodes.filter(isChanged).map(({ name }) => name);
    const read = changed.length > FEW ? await this.#all() : await readNamed(this.place, changed);
    const found = new Map(read.map((run) => [run.name, run]));
    const runs = nodes.flatMap((now) => {
      const run = found.get(now.name) ?? this.#known.get(now.name);
      return run ? [{ ...run, ...now }] : [];
    });
    this.#known = new Map(runs.map((run) => [run.name, run]));
    return { total, runs: runs.reverse() };
  }

  async #newest(): Promise<Page<Changing>> {
    for (;;) {
      const { total, nodes } = await readPage<Changing>(this.place, CHANGING, this.#older, MOST_RUNS + CHUNK);
      if (total <= this.#older + nodes.length) return { total, nodes: nodes.slice(-MOST_RUNS) };
      this.#older = total - MOST_RUNS;
    }
  }

  async #all(): Promise<RunSummary[]> {
    const all: RunSummary[] = [];
    for (;;) {
      const { total, nodes } = await readPage<RunSummary>(this.place, SUMMARY, this.#older + all.length, CHUNK);
      all.push(...nodes);
      if (nodes.length === 0 || this.#older + all.length >= total) return all;
    }
  }
}

/** Reads runs in the order in which they were made. */
async function readPage<T>({ entity, project }: Place, fields: string, skip: number, first: number): Promise<Page<T>> {
  const query = `query Runs($entity: String, $project: String, $first: Int, $after: String) {
    project(name: $project, entityName: $entity) {
      runs(first: $first, after: $after) { totalCount edges { node { ${fields} } } } } }`;
  type Answer = { project: { runs: { totalCount: number; edges: { node: T }[] } } | null };
  // A cursor is the index of an element.
  const after = skip > 0 ? String(skip - 1) : null;
  const answer = await api.graphql<Answer>(query, { entity, project, first, after });
  const runs = answer.project?.runs;
  return { total: runs?.totalCount ?? 0, nodes: runs?.edges.map(({ node }) => node) ?? [] };
}

/** Reads some runs by their names, in their order; those that do not exist are left out. */
export async function readNamed({ entity, project }: Place, names: string[]): Promise<RunSummary[]> {
  const found: RunSummary[] = [];
  for (let at = 0; at < names.length; at += NAMED) {
    const some = names.slice(at, at + NAMED);
    const declared = some.map((_, i) => `$r${i}: String!`).join(", ");
    const parts = some.map((_, i) => `r${i}: run(name: $r${i}) { ${SUMMARY} }`).join(" ");
    const query = `query Named($entity: String, $project: String, ${declared}) {
      project(name: $project, entityName: $entity) { ${parts} } }`;
    const variables = Object.fromEntries(some.map((name, i) => [`r${i}`, name]));
    type Answer = { project: Record<string, RunSummary | null> | null };
    const { project: read } = await api.graphql<Answer>(query, { entity, project, ...variables });
    found.push(...some.flatMap((_, i) => read?.[`r${i}`] ?? []));
  }
  return found;
}
