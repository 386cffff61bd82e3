// The configuration and the summary of a run: JSON in the dialect of W&B clients, kept as text.

import { cellsOf } from "../json";

/** A value with its way through nested objects, joined by dots, and its JSON text. */
export interface Field {
  name: string;
  json: string;
}

/** Fields of objects below this depth stay JSON. */
const MOST_DEPTH = 8;

/** Replaces the floats that JSON does not have by texts, as cells have them. */
export function strict(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) => (found[0] === '"' ? found : `"${found}"`));
}

/** Returns the members of an object's text; none for a text that is no object. */
export function membersOf(json: string | null): Field[] {
  try {
    const text = strict(json ?? "{}").trim();
    return text.startsWith("{") ? cellsOf(text).map(([name, json]) => ({ name, json })) : [];
  } catch {
    return [];
  }
}

/** Returns the members of a configuration: the text of each is in `value`. The client's own are left out. */
export function configOf(json: string | null): Field[] {
  return membersOf(json).flatMap(({ name, json }) => {
    if (name === "_wandb") return [];
    const value = json.startsWith("{") ? membersOf(json).find((it) => it.name === "value") : undefined;
    return [{ name, json: value?.json ?? json }];
  });
}

/** Returns the members of a summary without the client's own. */
export function summaryOf(json: string | null): Field[] {
  return membersOf(json).filter(({ name }) => name !== "_wandb");
}

/** Replaces objects by their fields, with dots in the names. Objects of the SDK, such as images, are not replaced. */
export function flattened(fields: Field[], depth = MOST_DEPTH): Field[] {
  return fields.flatMap((field) => {
    if (depth === 0 || !field.json.startsWith("{") || kindOf(field.json) !== null) return [field];
    const inner = membersOf(field.json);
    if (inner.length === 0) return [field];
    return flattened(inner.map(({ name, json }) => ({ name: `${field.name}.${name}`, json })), depth - 1);
  });
}

/** Returns the kind of an object that W&B clients made, such as `image-file`; null for other values. */
export function kindOf(json: string): string | null {
  if (!json.startsWith("{") || !json.includes('"_type"')) return null;
  const type = membersOf(json).find(({ name }) => name === "_type");
  return type ? plain(type.json) : null;
}

const ODD = new Set(['"NaN"', '"Infinity"', '"-Infinity"']);

/** Returns the number that a text is; null for other values. */
export function numberOf(json: string | undefined): number | null {
  if (json === undefined) return null;
  if (ODD.has(json)) return Number(JSON.parse(json));
  return /^-?\d/.test(json) ? Number(json) : null;
}

/** Returns a text without quotation marks; other values as they are. */
export function plain(json: string): string {
  return json.startsWith('"') ? String(JSON.parse(json)) : json;
}
