// Names and texts in SQL.

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Returns the name of a table that is given as `entity/project/table`. */
export function quotedTable(table: string): string {
  return table.split("/").map(quoted).join(".");
}

export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
