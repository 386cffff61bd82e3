// How a reader looks at the table of runs, in the address.

import type { Order } from "./run";

export interface TableState {
  search: string;
  order: Order;
  /** The chosen columns; null for the usual ones. */
  columns: string[] | null;
  page: number;
  /** The names of the runs that are chosen to be compared. */
  chosen: string[];
}

const NEWEST: Order = { column: "created", isDown: true };

export function tableStateInAddress(): TableState {
  const hash = new URLSearchParams(location.hash.slice(1));
  const sort = hash.get("sort");
  return {
    search: hash.get("search") ?? "",
    order: sort ? { column: sort.replace(/^-/, ""), isDown: sort.startsWith("-") } : NEWEST,
    columns: hash.has("columns") ? hash.getAll("columns").filter(Boolean) : null,
    page: Math.max(0, Math.floor(Number(hash.get("page") ?? 1)) - 1) || 0,
    chosen: hash.getAll("chosen"),
  };
}

export function putTableState({ search, order, columns, page, chosen }: TableState): void {
  const hash = new URLSearchParams();
  if (search) hash.set("search", search);
  if (order.column !== NEWEST.column || !order.isDown) hash.set("sort", (order.isDown ? "-" : "") + order.column);
  if (columns?.length === 0) hash.set("columns", "");
  for (const column of columns ?? []) hash.append("columns", column);
  if (page > 0) hash.set("page", String(page + 1));
  for (const run of chosen) hash.append("chosen", run);
  const text = hash.size > 0 ? `#${hash}` : "";
  history.replaceState(null, "", location.pathname + location.search + text);
}
