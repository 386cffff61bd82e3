// Runs as the API of W&B clients describes them.

import { formatNumber } from "../values";
import { configOf, type Field, flattened, kindOf, numberOf, plain, summaryOf } from "./json-text";

/** The fields of a run that lists show. */
export interface RunSummary {
  name: string;
  /** The table that has the run's rows. */
  tableName: string;
  displayName: string | null;
  state: string;
  createdAt: string;
  updatedAt: string;
  heartbeatAt: string;
  group: string | null;
  jobType: string | null;
  tags: string[];
  user: { name: string } | null;
  notes: string | null;
  config: string;
  summaryMetrics: string;
}

/** The states in the words of the page, and their kinds, which have colours. */
const STATES: Record<string, [string, StateKind]> = {
  running: ["Running", "active"],
  pending: ["Pending", "active"],
  preempting: ["Preempting", "warning"],
  preempted: ["Preempted", "warning"],
  finished: ["Finished", "good"],
  failed: ["Failed", "bad"],
  crashed: ["Crashed", "bad"],
  killed: ["Killed", "bad"],
};

export type StateKind = "active" | "good" | "warning" | "bad" | "unknown";

export function stateOf(state: string): [string, StateKind] {
  return STATES[state] ?? [state, "unknown"];
}

export function isActive({ state }: { state: string }): boolean {
  return stateOf(state)[1] === "active";
}

export function titleOf({ name, displayName }: { name: string; displayName?: string | null }): string {
  return displayName || name;
}

/** Returns how long a run has taken, in milliseconds. */
export function durationOf({ createdAt, heartbeatAt }: { createdAt: string; heartbeatAt: string }): number {
  return Math.max(0, instantOf(heartbeatAt) - instantOf(createdAt));
}

/** Reads an instant; the API leaves out the zone, which is UTC. */
export function instantOf(text: string): number {
  return Date.parse(/[Zz]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`);
}

/** Writes a duration with its two largest units, such as `3 h 12 min`. */
export function formatDuration(ms: number): string {
  if (!(ms >= 0)) return "–";
  const seconds = Math.round(ms / 1_000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/** A run as a line of the table: its cells by the ids of the columns. */
export interface Line {
  run: RunSummary;
  cells: Map<string, string>;
}

/** Returns a line: config and summary are columns of their fields, with the parts before their names. */
export function lineOf(run: RunSummary): Line {
  const named = (part: string, fields: Field[]) =>
    flattened(fields).map(({ name, json }): [string, string] => [`${part}.${name}`, json]);
  const cells = new Map([...named("config", configOf(run.config)), ...named("summary", summaryOf(run.summaryMetrics))]);
  return { run, cells };
}

/** The columns that all runs have. */
export const OWN_COLUMNS: [string, string][] = [
  ["state", "State"],
  ["user", "User"],
  ["group", "Group"],
  ["jobType", "Job type"],
  ["tags", "Tags"],
  ["created", "Created"],
  ["duration", "Duration"],
];

/** Returns the columns of config and summary that some lines have, in the order in which they were met. */
export function fieldColumns(lines: Line[]): string[] {
  const found = new Set(lines.flatMap(({ cells }) => [...cells.keys()]));
  const of = (part: string) => [...found].filter((id) => id.startsWith(`${part}.`));
  const isOwn = (id: string) => /^summary\._/.test(id);
  const summary = of("summary");
  return [...of("config"), ...summary.filter((id) => !isOwn(id)), ...summary.filter(isOwn)];
}

/** Returns the text by which a line is found, and which a cell shows. */
export function cellText({ run, cells }: Line, column: string): string {
  switch (column) {
    case "name":
      return titleOf(run);
    case "state":
      return stateOf(run.state)[0];
    case "user":
      return run.user?.name ?? "";
    case "group":
      return run.group ?? "";
    case "jobType":
      return run.jobType ?? "";
    case "tags":
      return run.tags.join(", ");
    case "created":
      return run.createdAt;
    case "duration":
      return formatDuration(durationOf(run));
    default: {
      const json = cells.get(column);
      if (json === undefined || json === "null") return "";
      const kind = kindOf(json);
      if (kind !== null) return kind.replace(/-file$/, "");
      const number = numberOf(json);
      return number === null || /^-?\d+$/.test(json) ? plain(json) : formatNumber(number);
    }
  }
}

/** Returns the value by which a line is sorted: a number, a text, or null if it has none. */
function sortValue(line: Line, column: string): number | string | null {
  if (column === "created") return instantOf(line.run.createdAt);
  if (column === "duration") return durationOf(line.run);
  if (column.includes(".")) {
    const json = line.cells.get(column);
    return json === undefined || json === "null" ? null : (numberOf(json) ?? plain(json));
  }
  return cellText(line, column) || null;
}

export interface Order {
  column: string;
  isDown: boolean;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Sorts lines: numbers before texts; those without a value, or with NaN, are last in both directions. */
export function sorted(lines: Line[], { column, isDown }: Order): Line[] {
  const keyed = lines.map((line) => ({ line, value: sortValue(line, column) }));
  const isMissing = (value: number | string | null) => value === null || Number.isNaN(value);
  keyed.sort((a, b) => {
    if (isMissing(a.value) || isMissing(b.value)) return Number(isMissing(a.value)) - Number(isMissing(b.value));
    const order = compared(a.value as number | string, b.value as number | string);
    return isDown ? -order : order;
  });
  return keyed.map(({ line }) => line);
}

function compared(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return collator.compare(String(a), String(b));
}

/** Returns the lines in which each word of a search occurs: in a cell, or as `column=value`. */
export function found(lines: Line[], search: string): Line[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return lines;
  return lines.filter((line) => {
    const own = ["name", ...OWN_COLUMNS.map(([id]) => id)].map((id) => `${id}=${cellText(line, id)}`);
    const text = [line.run.name, line.run.notes ?? "", ...own].join("\n").toLowerCase();
    return words.every((word) => text.includes(word) || textOf(line.cells).includes(word));
  });
}

/** The texts by which cells are found; they are made once. */
const texts = new WeakMap<Line["cells"], string>();

function textOf(cells: Line["cells"]): string {
  let text = texts.get(cells);
  if (text === undefined) {
    text = [...cells].map(([id, json]) => `${id}=${plain(json)}`).join("\n").toLowerCase();
    texts.set(cells, text);
  }
  return text;
}
