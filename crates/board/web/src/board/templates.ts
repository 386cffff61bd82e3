// First boards of a table for a purpose, from the roles of its columns.

import type { ViewerConfig } from "../live/perspective";
import { namesOf } from "../grid/defaults";
import { rowTimeOf, type Shapes, SYSTEM_COLUMNS } from "../values";
import type { Buckets } from "./buckets";
import { COLUMNS } from "./layout";
import { type BoardDocument, emptyBoard, type PanelDocument, type PanelKind } from "./document";
import { type Roles, rolesOf } from "./roles";
import { quoted } from "../sql-text";

type Config = ViewerConfig & { buckets?: Buckets };

interface OwnTemplate {
  name: string;
  title: string;
  about: string;
  /** Returns why it does not fit; null if it does. */
  unfit(roles: Roles): string | null;
  make(board: Panels, roles: Roles): void;
}

/** How many charts of a kind a board has at most. */
const MOST = 6;

export const TEMPLATES: OwnTemplate[] = [
  {
    name: "service",
    title: "Service",
    about: "rate, errors, percentiles, slowest requests",
    unfit: ({ duration, status, outcome }) =>
      duration && (status || outcome) ? null : "needs a duration (such as `latency_ms`) and a `status` or `ok`",
    make: service,
  },
  {
    name: "training",
    title: "Training",
    about: "loss and metrics over steps, by run",
    unfit: ({ step, measures }) => (step && measures.length > 0 ? null : "needs a `step` or `epoch` and a metric"),
    make: training,
  },
  {
    name: "llm",
    title: "LLM",
    about: "requests, tokens, cost, latency, errors",
    unfit: ({ tokens, messages, model }) =>
      tokens.length > 0 || (messages && model) ? null : "needs tokens (such as `input_tokens`), or `messages` and a `model`",
    make: llm,
  },
  {
    name: "dataset",
    title: "Dataset",
    about: "pictures, distributions, missing values",
    unfit: ({ image }) => (image ? null : "needs a column of pictures"),
    make: dataset,
  },
];

/** Makes the board of a template. */
export function boardOf(template: string, table: string, shapes: Shapes): BoardDocument | null {
  const found = TEMPLATES.find(({ name }) => name === template);
  if (!found) return null;
  const board = new Panels(table, shapes);
  found.make(board, rolesOf(shapes));
  return { ...emptyBoard(`${table.split("/").at(-1) ?? ""}: ${found.title}`), panels: board.panels };
}

const ROWS = "rows";

/** Panels in the making, placed from the left to the right in rows of twelve columns. */
class Panels {
  readonly panels: PanelDocument[] = [];
  #x = 0;
  #y = 0;
  #height = 0;

  constructor(
    private readonly table: string,
    private readonly shapes: Shapes,
  ) {}

  /** A name that no column of the table has. */
  unused(name: string): string {
    return this.shapes.has(name) || SYSTEM_COLUMNS.has(name) ? this.unused(`${name} `) : name;
  }

  add(kind: PanelKind, title: string, [w, h]: [number, number], config: Config): void {
    if (this.#x + w > COLUMNS) this.row();
    const id = `p${this.panels.length + 1}`;
    this.panels.push({ id, title, table: this.table, kind, config, layout: { x: this.#x, y: this.#y, w, h } });
    this.#x += w;
    this.#height = Math.max(this.#height, h);
  }

  /** Begins a new row; the panels of this one share its width. */
  row(): void {
    const row = this.panels.filter(({ layout }) => layout.y === this.#y);
    if (this.#x < COLUMNS && row.length > 0) {
      const edge = (i: number) => Math.floor((i * COLUMNS) / row.length);
      for (const [i, panel] of row.entries()) {
        panel.layout = { ...panel.layout, x: edge(i), w: edge(i + 1) - edge(i), h: this.#height };
      }
    }
    this.#y += this.#height;
    this.#x = 0;
    this.#height = 0;
  }

  figure(title: string, column: string, how: string, expressions: Record<string, string> = {}): void {
    const config = { columns: [column], aggregates: { [column]: how }, expressions };
    this.add("stat", title, [2, 3], config);
  }

  count(title: string): void {
    const rows = this.unused(ROWS);
    this.figure(title, rows, "count", { [rows]: "1" });
  }

  over(title: string, plugin: string, columns: [string, string][], more: Config = {}): void {
    const time = this.unused("time");
    const column = rowTimeOf(this.shapes);
    this.add("chart", title, [6, 7], {
      ...more,
      plugin,
      columns: columns.map(([name]) => name),
      aggregates: Object.fromEntries(columns),
      group_by: [time],
      group_rollup_mode: "flat",
      expressions: { ...more.expressions, [time]: quoted(column) },
      buckets: { [time]: { column, kind: "time" } },
    });
  }

  by(title: string, column: string, [value, how]: [string, string], expressions: Record<string, string> = {}): void {
    this.add("chart", title, [6, 7], {
      plugin: "X Bar",
      columns: [value],
      aggregates: { [value]: how },
      group_by: [column],
      group_rollup_mode: "flat",
      expressions,
      sort: [[value, "desc"]],
    });
  }

  rowsBy(title: string, column: string): void {
    const rows = this.unused(ROWS);
    this.by(title, column, [rows, "count"], { [rows]: "1" });
  }

  rowsOver(title: string, split: string | null = null): void {
    const rows = this.unused(ROWS);
    this.over(title, "Y Bar", [[rows, "count"]], { expressions: { [rows]: "1" }, ...(split !== null && { split_by: [split] }) });
  }

  percentiles(column: string): void {
    const lines: [string, string][] = [
      [this.unused("p50"), "median"],
      [this.unused("p95"), "p95"],
      [this.unused("p99"), "p99"],
    ];
    const expressions = Object.fromEntries(lines.map(([name]) => [name, quoted(column)]));
    this.over(`${column} over time`, "Y Line", lines, { expressions });
  }

  distribution(column: string, size: [number, number] = [4, 6]): void {
    const [rows, from] = [this.unused(ROWS), this.unused(`${column} from`)];
    this.add("chart", `Distribution of ${column}`, size, {
      plugin: "Y Bar",
      columns: [rows],
      aggregates: { [rows]: "count" },
      group_by: [from],
      group_rollup_mode: "flat",
      expressions: { [rows]: "1", [from]: quoted(column) },
      buckets: { [from]: { column, kind: "number" } },
    });
  }

  grid(title: string, config: Config): void {
    const columns = namesOf(this.shapes).filter((name) => !SYSTEM_COLUMNS.has(name));
    this.row();
    this.add("grid", title, [12, 9], { plugin: "Datagrid", columns, ...config });
  }

  names(): string[] {
    const time = rowTimeOf(this.shapes);
    return [...this.shapes.keys()].filter((name) => !SYSTEM_COLUMNS.has(name) && name !== time);
  }
}

/** Returns the expression that is 100 for a row that failed, and 0 for another. */
export function failed(roles: Roles): string | null {
  const { status, outcome } = roles;
  if (status) return `CASE WHEN ${quoted(status)} >= 500 THEN 100.0 ELSE 0.0 END`;
  if (!outcome) return null;
  const name = quoted(outcome.column);
  if (!outcome.isError) return `CASE WHEN ${name} THEN 0.0 ELSE 100.0 END`;
  return `CASE WHEN ${name} IS NULL OR CAST(${name} AS VARCHAR) IN ('', 'false', '0') THEN 0.0 ELSE 100.0 END`;
}

function service(board: Panels, roles: Roles): void {
  const duration = roles.duration ?? "";
  const [rate, code] = [board.unused("errors_pct"), roles.status];
  const error = failed(roles);
  board.count("Requests");
  if (error) board.figure("Share of errors", rate, "avg", { [rate]: error });
  board.figure(`${duration}, median`, duration, "median");
  board.figure(`${duration}, p95`, duration, "p95");
  board.row();
  board.rowsOver("Requests over time", code);
  if (error) board.over("Share of errors over time", "Y Line", [[rate, "avg"]], { expressions: { [rate]: error } });
  board.percentiles(duration);
  board.distribution(duration, [6, 7]);
  board.row();
  for (const category of roles.categories.slice(0, 2)) {
    board.rowsBy(`Requests by ${category}`, category);
    board.by(`${duration}, p95 by ${category}`, category, [duration, "p95"]);
  }
  board.grid("Slowest requests", { sort: [[duration, "desc"]] });
  if (error) board.grid("Errors, newest first", { filter: [[rate, ">", 0]], expressions: { [rate]: error }, sort: [["_pos", "desc"]] });
}

/** How many points a curve over steps has. */
const STEPS = 150;

function training(board: Panels, roles: Roles): void {
  const step = roles.step ?? "";
  const run = roles.run ?? "_writer";
  const metrics = roles.measures.filter((name) => name !== step).sort((a, b) => Number(/loss/i.test(b)) - Number(/loss/i.test(a)));
  board.count("Rows");
  board.figure("Runs", run, "distinct count");
  board.figure(`Last ${step}`, step, "max");
  for (const metric of metrics.slice(0, 1)) board.figure(`Best ${metric}`, metric, /loss|err/i.test(metric) ? "min" : "max");
  board.row();
  for (const metric of metrics.slice(0, MOST)) {
    const from = board.unused(`${step} from`);
    board.add("chart", `${metric} by run`, [6, 8], {
      plugin: "Y Line",
      columns: [metric],
      aggregates: { [metric]: "avg" },
      group_by: [from],
      split_by: [run],
      group_rollup_mode: "flat",
      expressions: { [from]: quoted(step) },
      buckets: { [from]: { column: step, kind: "number", bars: STEPS } },
    });
  }
  board.grid("Newest rows", { sort: [["_pos", "desc"]] });
}

function llm(board: Panels, roles: Roles): void {
  const { tokens, cost, duration, model } = roles;
  const error = failed(roles);
  const rate = board.unused("errors_pct");
  board.count("Requests");
  for (const column of tokens.slice(0, 2)) board.figure(`Sum of ${column}`, column, "sum");
  if (cost) board.figure(`Sum of ${cost}`, cost, "sum");
  if (duration) board.figure(`${duration}, p95`, duration, "p95");
  if (error) board.figure("Share of errors", rate, "avg", { [rate]: error });
  board.row();
  board.rowsOver("Requests over time", model);
  if (tokens.length > 0) board.over("Tokens over time", "Y Area", tokens.slice(0, 4).map((name) => [name, "sum"]));
  if (cost) board.over(`${cost} over time`, "Y Bar", [[cost, "sum"]], model ? { split_by: [model] } : {});
  if (duration) board.percentiles(duration);
  board.row();
  if (model) {
    board.rowsBy("Requests by model", model);
    if (cost) board.by(`${cost} by model`, model, [cost, "sum"]);
  }
  board.grid("Newest requests", { sort: [["_pos", "desc"]] });
}

function dataset(board: Panels, roles: Roles): void {
  const captions = roles.categories.slice(0, 2);
  board.count("Rows");
  for (const measure of roles.measures.slice(0, 3)) board.figure(`Mean ${measure}`, measure, "avg");
  board.row();
  board.add("images", "Newest pictures", [12, 8], { columns: [roles.image, ...captions] });
  for (const category of captions) board.rowsBy(category, category);
  for (const measure of roles.measures.slice(0, MOST)) board.distribution(measure);
  const names = board.names().slice(0, 12);
  board.row();
  board.add("stat", "Values present", [12, 4], { columns: names, aggregates: Object.fromEntries(names.map((name) => [name, "count"])) });
  board.grid("Newest rows", { sort: [["_pos", "desc"]] });
}
