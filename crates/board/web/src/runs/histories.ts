// The histories of runs: the metrics of the charts on the screen, read again while a run is active.

import { api } from "../api";
import type { Place } from "./address";
import { type Axis, boundsQuery, curvesQuery, niceWidth, type Span } from "./curve-sql";
import type { Points } from "./curves";
import { quoted } from "../sql-text";

/** How many metrics one request reads. */
const MOST_METRICS = 32;

/** The time between two reads of an active run. */
const READ_MS = 5_000;

/** The pause after a read is at least this many times as long as the read. */
const BUSY_SHARE = 4;

/** Charts that appear together are read together. */
const GATHER_MS = 30;

/** A run whose rows are read. */
export interface Source {
  name: string;
  /** The table that has its rows. */
  table: string;
  /** The metrics that it has. */
  metrics: ReadonlySet<string>;
}

interface HistoryEvents {
  onRead(): void;
  onError(error: Error): void;
}

export class Histories {
  /** How many steps or milliseconds each point is the mean of. */
  width = 1;

  #sources: Source[] = [];
  readonly #wanted = new Map<string, number>();
  readonly #points = new Map<string, Map<string, Points>>();
  readonly #bounds = new Map<string, Span>();
  readonly #counted = new Map<string, string>();
  readonly #active = new Set<string>();
  #gathering: number | undefined;
  readonly #timer: number;
  #reading = Promise.resolve();
  #isBusy = false;
  #restUntil = 0;
  #isClosed = false;

  /** Reads the part of the axis in `span`; all of it if that is null. */
  constructor(
    private readonly place: Place,
    private readonly axis: Axis,
    private readonly span: Span | null,
    private readonly events: HistoryEvents,
  ) {
    this.#timer = setInterval(() => {
      const rests = this.#isBusy || performance.now() < this.#restUntil;
      if (!document.hidden && !rests && this.#active.size > 0) this.#read([...this.#active]);
    }, READ_MS);
  }

  /** Sets the runs and which of them are active. Those that have just ended are read a last time. */
  setSources(sources: Source[], active: string[]): void {
    const ended = [...this.#active].filter((run) => !active.includes(run));
    this.#sources = sources;
    this.#active.clear();
    for (const run of active) this.#active.add(run);
    if (ended.length > 0) this.#read(ended);
    this.#gather();
  }

  /** Reads a metric until the returned function is called. */
  want(metric: string): () => void {
    this.#wanted.set(metric, (this.#wanted.get(metric) ?? 0) + 1);
    this.#gather();
    return () => {
      const left = (this.#wanted.get(metric) ?? 1) - 1;
      if (left > 0) this.#wanted.set(metric, left);
      else this.#wanted.delete(metric);
    };
  }

  /** Returns the points of a metric; null before they are read. */
  points(run: string, metric: string): Points | null {
    return this.#points.get(run)?.get(metric) ?? null;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#gathering);
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#read([]);
    }, GATHER_MS);
  }

  /** Reads what is wanted and unknown, and all that is wanted of `again`, after the present read. */
  #read(again: string[]): void {
    this.#reading = this.#reading.then(async () => {
      if (this.#isClosed) return;
      this.#isBusy = true;
      const start = performance.now();
      await this.#readAll(again).catch((error: Error) => {
        if (!this.#isClosed) this.events.onError(error);
      });
      this.#isBusy = false;
      this.#restUntil = performance.now() + BUSY_SHARE * (performance.now() - start);
    });
  }

  async #readAll(again: string[]): Promise<void> {
    const wanted = (source: Source) => [...this.#wanted.keys()].filter((metric) => source.metrics.has(metric));
    const sources = this.#sources.filter((source) => wanted(source).length > 0);
    for (const source of sources) await this.#readBounds(source, again.includes(source.name));
    const all = [...this.#bounds.values()];
    const [from, to] = this.span ?? [Math.min(...all.map(([from]) => from)), Math.max(...all.map(([, to]) => to))];
    const width = niceWidth(from, to);
    if (width !== this.width) this.#points.clear();
    this.width = width;
    for (const source of sources) {
      const known = this.#points.get(source.name);
      const metrics = wanted(source).filter((it) => again.includes(source.name) || !known?.has(it));
      for (let i = 0; i < metrics.length; i += MOST_METRICS) await this.#readSome(source, metrics.slice(i, i + MOST_METRICS));
    }
    if (!this.#isClosed) this.events.onRead();
  }

  /** Reads where the axis of a run begins and ends, and at first which column counts its steps. */
  async #readBounds({ name, table }: Source, isAgain: boolean): Promise<void> {
    if (this.#isClosed || (this.#bounds.has(name) && !isAgain)) return;
    let counted = this.#counted.get(name);
    if (counted === undefined) {
      const [row = {}] = await api.query(`SELECT * FROM ${this.#sqlName(table)} LIMIT 1`);
      // Only the clients that have runs count steps; the rows of others have their lines.
      counted = "_step" in row ? "_step" : "_line";
      this.#counted.set(name, counted);
    }
    const [bounds] = await api.query(boundsQuery(this.#sqlName(table), this.axis, counted));
    const { low, high } = bounds ?? {};
    if (typeof low === "number" && typeof high === "number") this.#bounds.set(name, [low, high]);
  }

  async #readSome({ name, table }: Source, metrics: string[]): Promise<void> {
    if (this.#isClosed) return;
    const counted = this.#counted.get(name) ?? "_line";
    const rows = await api.query(curvesQuery(this.#sqlName(table), this.axis, counted, metrics, this.width, this.span));
    const points = this.#points.get(name) ?? new Map<string, Points>();
    this.#points.set(name, points);
    for (const [i, metric] of metrics.entries()) points.set(metric, pointsOf(rows, `m${i}`));
  }

  #sqlName(table: string): string {
    return [this.place.entity, this.place.project, table].map(quoted).join(".");
  }
}

function pointsOf(rows: Record<string, unknown>[], column: string): Points {
  const pairs = rows.flatMap((row) => {
    const [x, y] = [row["x"], row[column]];
    return typeof x === "number" && typeof y === "number" ? [[x, y] as const] : [];
  });
  return { x: pairs.map(([x]) => x), y: pairs.map(([, y]) => y) };
}

interface Keys {
  keys?: Record<string, { typeCounts?: { type?: string }[] }>;
}

/** Returns the names of the numeric metrics of each run. */
export async function readMetrics({ entity, project }: Place, runs: string[]): Promise<Map<string, Set<string>>> {
  const parts = runs.map((_, i) => `r${i}: run(name: $r${i}) { historyKeys }`);
  const names = runs.map((_, i) => `$r${i}: String!`);
  const query = `query Keys($entity: String, $project: String, ${names.join(", ")}) {
    project(name: $project, entityName: $entity) { ${parts.join(" ")} } }`;
  const variables = Object.fromEntries(runs.map((run, i) => [`r${i}`, run]));
  type Answer = { project: Record<string, { historyKeys: Keys } | null> | null };
  const answer = await api.graphql<Answer>(query, { entity, project, ...variables });
  return new Map(runs.map((run, i) => [run, metricsOf(answer.project?.[`r${i}`]?.historyKeys ?? {})]));
}

/** Returns the numeric keys without the client's own, and without the parts of tables and the like. */
export function metricsOf({ keys = {} }: Keys): Set<string> {
  const isNumber = ({ type }: { type?: string }) => type === "number" || type === "bool";
  const isPart = (name: string) => `${name.replace(/(?<!\\)\.(?:\\.|[^.\\])*$/, "")}._type` in keys;
  const found = Object.entries(keys).filter(([name, { typeCounts = [] }]) => typeCounts.some(isNumber) && !name.startsWith("_"));
  return new Set(found.flatMap(([name]) => (isPart(name) ? [] : [name])));
}

/** Returns the metrics of all runs: losses first, then by name. */
export function orderedMetrics(runs: Iterable<Set<string>>): string[] {
  const all = new Set([...runs].flatMap((metrics) => [...metrics]));
  const isLoss = (name: string) => /loss/i.test(name);
  return [...all].sort((a, b) => Number(isLoss(b)) - Number(isLoss(a)) || a.localeCompare(b, undefined, { numeric: true }));
}

/** Returns a metric's name as its writer knows it: the API escapes the dots in names. */
export function metricText(metric: string): string {
  return metric.replaceAll("\\.", ".");
}
