// Columns made of the fields of nested values.

import type { ViewerConfig } from "../live/perspective";
import { quoted, textLiteral } from "../sql-text";

/** The way from a column to a part of its value: names of fields, and places in lists. */
export type FieldPath = (string | number)[];

/** Writes a field as programs do, such as `usage.tokens` or `choices[0].text`. */
export function fieldName(column: string, path: FieldPath): string {
  return column + path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
}

/** Returns the SQL of a field that has a value like this one, given as JSON. */
function expressionOf(column: string, path: FieldPath, json: string): string {
  const steps = path.map((part) => (typeof part === "number" ? String(part) : textLiteral(part)));
  return `${getterOf(json)}(${quoted(column)}, ${steps.join(", ")})`;
}

function getterOf(json: string): string {
  if (json.startsWith('"')) return "json_get_str";
  if (/^[[{]/.test(json)) return "json_get_json";
  if (json === "true" || json === "false") return "json_get_bool";
  // A double does not hold all digits of a longer integer; other rows may have fractions.
  const isLong = /^-?\d+$/.test(json) && !Number.isSafeInteger(Number(json));
  return isLong ? "json_get_int" : "json_get_float";
}

/** Adds a field to the columns of a view, after the column that it is a part of. */
export function withField(config: ViewerConfig, taken: string[], column: string, path: FieldPath, json: string): ViewerConfig {
  const expression = expressionOf(column, path, json);
  const expressions = config.expressions ?? {};
  const wanted = fieldName(column, path);
  const known = Object.entries(expressions).find(([, it]) => it === expression)?.[0];
  const isTaken = (name: string) => taken.includes(name) || name in expressions;
  const name = known ?? (isTaken(wanted) ? `${wanted} (field)` : wanted);
  const columns = (config.columns ?? []).filter((it) => it !== name);
  const at = columns.indexOf(column) + 1 || columns.length;
  return { columns: [...columns.slice(0, at), name, ...columns.slice(at)], expressions: { ...expressions, [name]: expression } };
}
