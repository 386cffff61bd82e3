// Labels of rows and comments on them: rows of a table of their own, which SQL sees.

import { api } from "../api";
import type { ViewerConfig } from "../live/perspective";
import { quotedTable, textLiteral } from "../sql-text";

const SUFFIX = "_labels";

/** The longest name of a table, in characters. */
const LONGEST_NAME = 128;

/** The computed column with the labels of rows. */
export const LABEL = "row label";

/** How many labels a column shows: the newest. */
const MOST_LABELS = 500;

/** What somebody said about a row. */
export interface Note {
  /** The new label; empty for none, null for the former one. */
  label: string | null;
  comment: string | null;
  at: string;
}

/** Returns the table with the labels of a table's rows; null for a table that cannot have one. */
export function labelsTable(table: string): string | null {
  const [entity, project, name = ""] = table.split("/");
  if (name.endsWith(SUFFIX) || name.length + SUFFIX.length > LONGEST_NAME) return null;
  return `${entity}/${project}/${name}${SUFFIX}`;
}

async function isThere(table: string): Promise<boolean> {
  const [entity = "", project = ""] = table.split("/");
  return (await api.tables(entity, project)).some((it) => it.name === table && it.rows > 0);
}

/** Reads what was said about a row, oldest first. */
export async function readNotes(labels: string, position: number): Promise<Note[]> {
  if (!(await isThere(labels))) return [];
  const sql = `SELECT label, comment, _timestamp AS at FROM ${quotedTable(labels)} WHERE position = ${position} ORDER BY _timestamp`;
  return (await api.query(sql)) as unknown as Note[];
}

/** Adds a note to a row. */
export async function addNote(labels: string, position: number, note: Pick<Note, "label" | "comment">): Promise<void> {
  await api.log(labels, { position, label: note.label, comment: note.comment });
}

/** Returns the label of a row; empty for none. */
export function labelOf(notes: Note[]): string {
  return notes.findLast(({ label }) => label !== null)?.label ?? "";
}

/** Reads the labels of the rows of a table, the newest first. */
export async function readLabels(labels: string): Promise<[number, string][]> {
  if (!(await isThere(labels))) return [];
  const sql = `SELECT position, last_value(label ORDER BY _timestamp) AS label, max(_timestamp) AS at
    FROM ${quotedTable(labels)} WHERE label IS NOT NULL GROUP BY position ORDER BY at DESC LIMIT ${MOST_LABELS}`;
  const rows = (await api.query(sql)) as unknown as { position: number; label: string }[];
  return rows.map(({ position, label }): [number, string] => [position, label]).filter(([, label]) => label !== "");
}

/** Shows labels as a column, or updates it. */
export function withLabels({ columns = [], expressions = {} }: ViewerConfig, labels: [number, string][]): ViewerConfig {
  const cases = labels.map(([position, label]) => `WHEN ${position} THEN ${textLiteral(label)}`);
  const expression = cases.length > 0 ? `CASE "_pos" ${cases.join(" ")} END` : "CAST(NULL AS VARCHAR)";
  return {
    columns: columns.includes(LABEL) ? columns : [LABEL, ...columns],
    expressions: { ...expressions, [LABEL]: expression },
  };
}
