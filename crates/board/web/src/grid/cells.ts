// Cells of the datagrid: pictures, exact numbers, instants, what is missing.

import { Cursor } from "./cursor";
import { dressGrid } from "../shadow";
import { type Media, mediaOf, oddFloat, type Shapes, shapeIn } from "../values";

/** The grid inside of Perspective's datagrid. */
export interface RegularTable extends HTMLElement {
  addStyleListener(listener: () => void): void;
  getMeta(cell: Element): CellMeta | undefined;
  scrollToCell(x: number, y: number, columns: number, rows: number): Promise<void>;
  draw(options?: object): Promise<void>;
}

export interface CellMeta {
  type: string;
  x: number;
  y: number;
  column_header?: unknown[];
  /** The cell's value before it was formatted. */
  user?: unknown;
}

/** What the datagrid's element has beside what every element has. */
interface Datagrid extends HTMLElement {
  regular_table: RegularTable;
  model?: {
    _config: { split_by: string[]; group_by: string[] };
    _schema: Record<string, string>;
    _num_rows: number;
  };
}

export interface GridEvents {
  /** A media cell was chosen. */
  onMedia(media: Media, column: string, y: number): void;
  /** The details of a row were asked for. */
  onRow(y: number): void;
  /** The grid is about to be drawn with so many rows. */
  onDrawing?(table: RegularTable, rows: number): void;
  /** The grid was drawn. */
  onDraw?(table: RegularTable): void;
}

const decorated = new WeakSet<Element>();

/** Returns the datagrid of a viewer, or null while it shows something else. */
export function datagridOf(viewer: Element): Datagrid | null {
  return viewer.querySelector<Datagrid>("perspective-viewer-datagrid");
}

/** Scrolls a viewer's grid to where another's is. */
export function keepPlace(viewer: Element, before: Element | null): void {
  const from = before && datagridOf(before)?.regular_table;
  const to = datagridOf(viewer)?.regular_table;
  if (from && to) to.scrollTo(from.scrollLeft, from.scrollTop);
}

/** Shows cells as what they are, from the next time on that the grid is drawn. */
export function decorate(
  viewer: Element,
  table: string,
  shapes: () => Shapes,
  events: GridEvents,
): void {
  const datagrid = datagridOf(viewer);
  if (!datagrid?.regular_table || decorated.has(datagrid)) return;
  decorated.add(datagrid);
  dressGrid(datagrid);
  const grid = datagrid.regular_table;
  grid.tabIndex = 0;
  grid.setAttribute("aria-label", `Rows of ${table}`);
  const cursor = new Cursor(grid, events.onRow);
  const decorateAll = () => {
    const model = datagrid.model;
    if (!model) return;
    cursor.isOn = model._config.group_by.length === 0;
    for (const cell of grid.querySelectorAll<HTMLElement>("tbody td")) {
      const meta = grid.getMeta(cell);
      if (!meta) continue;
      const column = String(meta.column_header?.[model._config.split_by.length] ?? "");
      const isGrouped = model._config.group_by.length > 0;
      show(cell, meta, column, table, shapes(), model._schema[column], isGrouped);
      cursor.mark(cell, meta);
    }
    events.onDraw?.(grid);
  };
  grid.addStyleListener(decorateAll);
  const draw = grid.draw.bind(grid);
  grid.draw = (options) => {
    events.onDrawing?.(grid, datagrid.model?._num_rows ?? 0);
    return draw(options);
  };
  listen(grid, datagrid, table, events);
}

function listen(grid: RegularTable, datagrid: Datagrid, table: string, events: GridEvents): void {
  const at = (event: Event) => {
    const cell = (event.target as Element).closest?.("tbody td");
    const meta = cell ? grid.getMeta(cell) : undefined;
    return meta && meta.y !== undefined ? meta : null;
  };
  grid.addEventListener("click", (event) => {
    const meta = at(event);
    if (!meta || !(event.target as Element).closest(".st-media")) return;
    const column = String(meta.column_header?.[datagrid.model?._config.split_by.length ?? 0] ?? "");
    const media = mediaOf(meta.user, table);
    if (media) events.onMedia(media, column, meta.y);
  });
}

/** Cells are used again for other rows as the grid scrolls, so each part of one is set each time. */
function show(
  cell: HTMLElement,
  meta: CellMeta,
  column: string,
  table: string,
  shapes: Shapes,
  type: string | undefined,
  isGrouped: boolean,
): void {
  const value = meta.user;
  const shape = shapeIn(shapes, column);
  const media = shape.isMedia && !isGrouped ? mediaOf(value, table) : null;
  if (media) {
    showMedia(cell, media);
    mark(cell, "media");
    return;
  }
  const odd = type === "float" || shape.isFloat ? oddFloat(value) : null;
  if (value === null || value === undefined) {
    mark(cell, "null");
    cell.title = "null";
  } else if (odd) {
    setText(cell, odd);
    mark(cell, "odd");
    cell.title = String(value);
  } else if (type === "datetime" && typeof value === "number") {
    mark(cell, "time");
    cell.title = new Date(value).toISOString();
  } else if (typeof value === "string") {
    mark(cell, shape.isInteger ? "integer" : shape.isNested ? "nested" : value === "" ? "empty" : "");
    if (value === "") setText(cell, '""');
    cell.title = value.length > 4000 ? `${value.slice(0, 4000)}…` : value;
  } else {
    mark(cell, "");
    cell.title = typeof value === "number" && !shape.isInteger ? String(value) : "";
  }
}

function mark(cell: HTMLElement, kind: string): void {
  if (cell.dataset["st"] !== kind) cell.dataset["st"] = kind;
}

function setText(cell: HTMLElement, text: string): void {
  if (cell.textContent !== text) cell.textContent = text;
}

function showMedia(cell: HTMLElement, media: Media): void {
  cell.title = media.caption || media.path;
  if (media.kind === "image") {
    let image = cell.firstElementChild as HTMLImageElement | null;
    if (!(image instanceof HTMLImageElement) || cell.childNodes.length > 1) {
      image = document.createElement("img");
      image.className = "st-media st-thumb";
      image.decoding = "async";
      cell.replaceChildren(image);
    }
    if (image.getAttribute("src") !== media.url) image.setAttribute("src", media.url);
    image.alt = media.caption || "image";
    // A few pixels are shown as they are, not smoothed into a blur.
    image.classList.toggle("st-pixels", (media.width ?? 1000) <= 64);
    return;
  }
  const label = media.caption || media.format || media.kind;
  const found = cell.firstElementChild;
  if (!(found instanceof HTMLButtonElement) || cell.childNodes.length > 1) {
    const button = document.createElement("button");
    button.type = "button";
    cell.replaceChildren(button);
  }
  const button = cell.firstElementChild as HTMLButtonElement;
  button.className = `st-media st-chip st-chip-${media.kind}`;
  setText(button, label);
}
