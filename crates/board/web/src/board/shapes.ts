// The types of tables' columns; all panels of a table share one request.

import { api } from "../api";
import { type Shapes, shapesOf } from "../values";

const schemas = new Map<string, Promise<Shapes>>();

/** Returns the shapes of a table's columns. */
export function shapesOfTable(table: string): Promise<Shapes> {
  let found = schemas.get(table);
  if (!found) {
    found = api.schema(table).then(shapesOf);
    found.catch(() => schemas.delete(table));
    schemas.set(table, found);
  }
  return found;
}

/** Reads a table's columns again when they are asked for the next time: there are new ones. */
export function forgetShapes(table: string): void {
  schemas.delete(table);
}
