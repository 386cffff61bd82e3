// The headers of the grid: a click sorts, a drag moves the column.

import type { Viewer, ViewerConfig } from "../live/perspective";
import type { Datagrid, RegularTable } from "./cells";

/** How far the pointer moves before a press on a header is a drag. */
const DRAG_PX = 6;

/**
 * Replaces Perspective's own handling, which sorts as soon as a header is pressed, and never by a
 * column of booleans.
 */
export function listenToHeaders(grid: RegularTable, datagrid: Datagrid): void {
  let from: { x: number; column: string } | null = null;
  /** Returns the column of a header; null for all else, and for headers of split columns. */
  const columnAt = (target: EventTarget | null): string | null => {
    const element = target as Element | null;
    const header = element?.closest?.("thead th");
    const config = datagrid.model?._config;
    const isPart = element?.closest(".rt-column-resize, .st-head") !== null;
    if (!header || !config || config.split_by.length > 0 || isPart) return null;
    const column = grid.getMeta(header)?.column_header?.[0];
    return column === undefined || column === "" ? null : String(column);
  };
  const restore = (changes: ViewerConfig) =>
    void (datagrid.parentElement as Viewer | null)?.restore(changes).catch(() => undefined);

  grid.addEventListener(
    "mousedown",
    (event) => {
      // The statistics and the menu have their own clicks.
      if ((event.target as Element).closest?.(".st-head")) return event.stopImmediatePropagation();
      const column = columnAt(event.target);
      if (column === null || event.button !== 0) return;
      from = { x: event.clientX, column };
      event.stopImmediatePropagation();
      event.preventDefault();
    },
    { capture: true },
  );
  grid.addEventListener("mouseup", (event) => {
    const config = datagrid.model?._config;
    const to = columnAt(event.target);
    const start = from;
    from = null;
    if (!config || !start || to === null) return;
    if (Math.abs(event.clientX - start.x) <= DRAG_PX) {
      restore({ sort: nextSort(config.sort, start.column, event.shiftKey) });
    } else if (to !== start.column) {
      restore({ columns: moved(config.columns, start.column, to) });
    }
  });
}

/** Sorts downwards, at the next click upwards, then not; with `isMore`, beside the other columns. */
export function nextSort(sort: [string, string][], column: string, isMore: boolean): [string, string][] {
  const now = sort.find(([name]) => name === column)?.[1];
  const next: Record<string, string | undefined> = { desc: "asc", asc: undefined };
  const direction = now === undefined ? "desc" : next[now];
  const others = isMore ? sort.filter(([name]) => name !== column) : [];
  return direction === undefined ? others : [...others, [column, direction]];
}

/** Moves a column to the place of another one. */
export function moved(columns: (string | null)[], from: string, to: string): (string | null)[] {
  const target = columns.indexOf(to);
  const rest = columns.filter((column) => column !== from);
  rest.splice(target, 0, from);
  return rest;
}
