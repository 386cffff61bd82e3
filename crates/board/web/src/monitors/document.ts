// A monitor's document, as the server stores it, and what it means for people.

import { formatFloat } from "../values";

/** The states of a monitor and of its groups, the worst first. */
export const STATES = ["firing", "error", "pending", "no_data", "ok"] as const;

export type MonitorState = (typeof STATES)[number];

/** How the states are called. */
export const STATE_NAMES: Record<MonitorState, string> = {
  firing: "firing",
  error: "error",
  pending: "pending",
  no_data: "no data",
  ok: "ok",
};

export type ConditionKind = "threshold" | "change" | "no_rows" | "drift" | "match" | "sql";

export const KINDS: [ConditionKind, string][] = [
  ["threshold", "A figure is beyond a threshold"],
  ["change", "A figure changes"],
  ["no_rows", "No rows arrive"],
  ["drift", "A column drifts"],
  ["match", "Texts match a pattern"],
  ["sql", "An SQL expression or query"],
];

export interface Bounds {
  above?: number | undefined;
  below?: number | undefined;
  recover?: number | undefined;
}

/** A condition. Which fields it has depends on its kind. */
export interface Condition extends Bounds {
  kind: ConditionKind;
  value?: string | undefined;
  measure?: string | undefined;
  column?: string | undefined;
  method?: string | undefined;
  pattern?: string | undefined;
  min_rows?: number | undefined;
  against?: unknown;
  expression?: string | undefined;
  query?: string | undefined;
}

/** Which rows count: those of a time span, the last ones, or those since an instant. */
export interface Window {
  last?: string;
  rows?: number;
  since?: string;
}

export interface MonitorDocument {
  format: 1;
  title: string;
  table: string;
  window: Window;
  where?: string | undefined;
  group_by?: string | undefined;
  max_groups?: number | undefined;
  every: string;
  for: string;
  severity: string;
  condition: Condition;
  no_data: string;
  notify: string[];
  message?: string | undefined;
}

/** Returns a new monitor of a table, with the server's defaults. */
export function newMonitor(table: string, changes: Partial<MonitorDocument> = {}): MonitorDocument {
  return {
    format: 1,
    title: "",
    table,
    window: { last: "5m" },
    every: "15s",
    for: "1m",
    severity: "warning",
    condition: { kind: "threshold", value: "count(*)" },
    no_data: "no_data",
    notify: ["default"],
    ...changes,
  };
}

/** Fills in what a document may leave out. */
export function completed(document: Partial<MonitorDocument>): MonitorDocument {
  return { ...newMonitor(document.table ?? ""), for: "0s", ...document };
}

/** Returns the document without the fields that are empty, which the server would refuse. */
export function written(document: MonitorDocument): MonitorDocument {
  const filled = (value: unknown) => value !== undefined && !(typeof value === "string" && value.trim() === "");
  const kept = Object.fromEntries(Object.entries(document).filter(([name, value]) => name === "title" || filled(value)));
  const condition = Object.fromEntries(Object.entries(document.condition).filter(([name, value]) => REQUIRED.has(name) || filled(value)));
  return { ...kept, condition } as unknown as MonitorDocument;
}

/** Fields of conditions that are sent although they are empty: the server's error names them. */
const REQUIRED = new Set(["value", "column", "pattern", "expression", "query"]);

/** The fields of a condition by its kind. */
const FIELDS: Record<ConditionKind, (keyof Condition)[]> = {
  threshold: ["value", "above", "below", "recover"],
  change: ["value", "measure", "against", "above", "below", "recover"],
  no_rows: [],
  drift: ["column", "method", "against", "min_rows", "above", "below", "recover"],
  match: ["column", "pattern", "above", "below", "recover"],
  sql: ["expression", "query", "above", "below", "recover"],
};

/** Returns a condition of another kind, which keeps the fields that both have. */
export function ofKind(condition: Condition, kind: ConditionKind): Condition {
  const made: Condition = { kind, ...FIRST[kind] };
  for (const field of FIELDS[kind]) {
    if (condition[field] !== undefined) Object.assign(made, { [field]: condition[field] });
  }
  if (kind === "drift" && made.method === undefined) made.method = "psi";
  return made;
}

const FIRST: Record<ConditionKind, Partial<Condition>> = {
  threshold: { value: "count(*)" },
  change: { value: "count(*)", measure: "ratio" },
  no_rows: {},
  drift: { column: "", method: "psi", above: 0.25 },
  match: { column: "", pattern: "" },
  sql: { expression: "" },
};

/** Returns the field that a refusal of the server names, such as `condition.above`; null if it names none. */
export function fieldOf(message: string): string | null {
  return /^invalid monitor: `([a-z_.]+)`/.exec(message)?.[1] ?? null;
}

/** Returns what a refusal says of its field. */
export function reasonOf(message: string): string {
  return message.replace(/^invalid monitor: `[a-z_.]+`:? ?/, "");
}

/** Writes a value; one that is not finite comes as a text. */
export function valueText(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return formatFloat(value);
  return value.replace("Infinity", "∞").replace("-", "−");
}

/** Writes a threshold, such as `> 500`. */
export function boundText(bounds: Bounds | null | undefined): string {
  if (typeof bounds?.above === "number") return `> ${formatFloat(bounds.above)}`;
  if (typeof bounds?.below === "number") return `< ${formatFloat(bounds.below)}`;
  return "";
}
