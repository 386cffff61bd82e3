// Cells of the datagrid: pictures, exact numbers, instants, missing values.

import { Cursor } from "./cursor";
import { dressGrid } from "../shadow";
import type { View, Viewer } from "../live/perspective";
import type { Positions } from "./walk";
import { showPicture } from "../ui/picture";
import { shortWithUnit, unitOf, withUnit } from "../unit";
import { formatCount, formatFloat, type Media, mediaOf, oddFloat, type Shape, type Shapes, shapeIn, visible } from "../values";
import { isDefaultFormat } from "./defaults";
import type { HeaderStats } from "./header-stats";
import { listenToHeaders } from "./headers";
import { Pins } from "./pins";
import { drawScale, type Scales } from "./scales";

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

/** Perspective's own fields of the datagrid's element. */
export interface Datagrid extends HTMLElement {
  draw(view: View): Promise<void>;
  regular_table: RegularTable;
  model?: GridModel;
  _columns_config?: Record<string, { number_format?: object } | undefined>;
}

interface GridModel {
  _config: {
    columns: (string | null)[];
    split_by: string[];
    group_by: string[];
    sort: [string, string][];
    group_rollup_mode?: string;
    aggregates?: Record<string, string | string[]>;
  };
  _schema: Record<string, string>;
  _num_rows: number;
}

export interface GridEvents {
  /** A media cell was chosen. */
  onMedia(media: Media, column: string, y: number): void;
  /** The details of a row were asked for. */
  onRow(y: number): void;
  /** Another row was chosen. */
  onChoose?(y: number): void;
  /** The statistics in the headers; none by default. */
  headers?: HeaderStats;
  /** The columns that stay in sight while the others are scrolled; none by default. */
  pinned?(): readonly string[];
  /** The columns whose numbers are drawn as bars or colours; none by default. */
  scales?(): Scales;
  /** How the view's rows are found; without it, the mark stays at its place in the view. */
  positions?(): Positions;
  /** The grid is about to be drawn; `rows` is the view's number of rows. */
  onDrawing?(table: RegularTable, rows: number): void;
  /** The grid was drawn. */
  onDraw?(table: RegularTable): void;
}

const decorated = new WeakMap<Element, Pins>();

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

/** Draws a viewer's grid again, with the columns that are pinned or have a scale now. */
export async function dressAgain(viewer: Viewer): Promise<void> {
  const datagrid = datagridOf(viewer);
  const pins = datagrid && decorated.get(datagrid);
  if (pins?.isStale()) await datagrid?.draw(await viewer.getView());
  else await datagrid?.regular_table.draw();
}

/** Formats the cells each time the grid is drawn, from the next draw on. */
export function decorate(
  viewer: Element,
  table: string,
  shapes: () => Shapes,
  events: GridEvents,
): void {
  const datagrid = datagridOf(viewer);
  if (!datagrid?.regular_table || decorated.has(datagrid)) return;
  const grid = datagrid.regular_table;
  const pins = new Pins(grid, () => events.pinned?.() ?? []);
  decorated.set(datagrid, pins);
  dressGrid(datagrid);
  grid.tabIndex = 0;
  grid.setAttribute("aria-label", `Rows of ${table}`);
  const cursor = new Cursor(grid, events);
  const decorateAll = () => {
    const { model } = datagrid;
    if (!model) return;
    const depth = model._config.split_by.length;
    cursor.isOn = model._config.group_by.length === 0;
    const named = new Map<string, HTMLElement>();
    const heads = grid.querySelectorAll<HTMLElement>("thead th");
    const columnOf = (cell: HTMLElement) => String(grid.getMeta(cell)?.column_header?.[depth] ?? "");
    for (const cell of heads) {
      const column = columnOf(cell);
      if (column === "") continue;
      showHeader(cell, column, model);
      named.set(column, cell);
      if (events.headers && cursor.isOn && depth === 0) addPart(cell, events.headers.part(column));
    }
    const hasStats = cursor.isOn && depth === 0;
    grid.toggleAttribute("data-st-stats", events.headers !== undefined && hasStats);
    if (hasStats) events.headers?.drawn([...named.keys()], model._num_rows);
    pins.measure(named);
    for (const cell of heads) pins.place(cell, columnOf(cell));
    const scales = events.scales?.() ?? {};
    for (const cell of grid.querySelectorAll<HTMLElement>("tbody td")) {
      const meta = grid.getMeta(cell);
      if (!meta) continue;
      const column = columnOf(cell);
      const shown = { column, model, shape: shapeIn(shapes(), column), table };
      drawScale(cell, cursor.isOn ? scales[column] : undefined, meta.user);
      show(cell, meta, shown, isDefaultFormat(datagrid._columns_config?.[column]?.number_format));
      cursor.mark(cell, meta);
      pins.place(cell, column);
    }
    events.onDraw?.(grid);
  };
  grid.addStyleListener(decorateAll);
  const drawView = datagrid.draw.bind(datagrid);
  datagrid.draw = async (view) => {
    const { group_by = [], split_by = [] } = await view.get_config();
    pins.begin(group_by.length === 0 && split_by.length === 0);
    return drawView(view);
  };
  const draw = grid.draw.bind(grid);
  grid.draw = (options) => {
    const rows = datagrid.model?._num_rows ?? 0;
    cursor.drawing(rows);
    events.onDrawing?.(grid, rows);
    return draw(options);
  };
  listen(grid, datagrid, table, events);
  listenToHeaders(grid, datagrid);
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

interface Shown {
  column: string;
  model: GridModel;
  shape: Shape;
  table: string;
}

/** Aggregates that count values; all others return values of their column's kind. */
const COUNTS = new Set(["count", "distinct count"]);

/** Returns the name of a column's aggregate in a grouped view, or null in another view. */
function aggregateOf(column: string, { _config: config }: GridModel): string | null {
  const isGrouped = config.group_by.length > 0 || config.group_rollup_mode === "total";
  if (!isGrouped) return null;
  const how = config.aggregates?.[column];
  return (Array.isArray(how) ? how[0] : how) ?? "";
}

/** Adds to a header of a grouped view how the column's values were combined, such as `sum of ms`. */
function showHeader(cell: HTMLElement, column: string, model: GridModel): void {
  const how = aggregateOf(column, model);
  const prefix = how ? `${how} of ` : "";
  if ((cell.dataset["stHow"] ?? "") !== prefix) cell.dataset["stHow"] = prefix;
  const shown = visible(column);
  if (shown === column) return;
  for (const node of cell.querySelectorAll("*:not(:has(*))")) {
    if (node.textContent === column) node.textContent = shown;
  }
}

/** Adds a column's part to its header, which another column may have used before. */
function addPart(cell: HTMLElement, part: HTMLElement): void {
  const found = cell.querySelector(":scope > .st-head");
  if (found === part) return;
  found?.remove();
  cell.append(part);
}

/** Shows a cell. Cells are reused for other rows when the grid scrolls: each part is set each time. */
function show(cell: HTMLElement, meta: CellMeta, shown: Shown, isDefault: boolean): void {
  const { column, model, shape, table } = shown;
  const value = meta.user;
  const type = model._schema[column];
  const how = aggregateOf(column, model);
  const media = shape.isMedia && how === null ? mediaOf(value, table) : null;
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
    else if (how === null && LINK.test(value)) setLink(cell, value);
    else if (visible(value) !== value) setText(cell, visible(value));
    cell.title = value.length > 4000 ? `${value.slice(0, 4000)}…` : value;
  } else if (typeof value === "number") {
    const unit = unitOf(column);
    const isCount = how !== null && (COUNTS.has(how) || (how === "" && !isNumber(shape)));
    if (isCount) setText(cell, formatCount(value));
    else if (isDefault && unit) setText(cell, unit === "bytes" ? shortWithUnit(value, unit) : withUnit(value, unit));
    else if (isDefault && !(shape.isInteger && how === null)) setText(cell, formatFloat(value));
    mark(cell, isCount ? "count" : "");
    cell.title = shape.isInteger && how === null && !unit ? "" : String(value);
  } else {
    mark(cell, "");
    cell.title = "";
  }
}

function isNumber(shape: Shape): boolean {
  return shape.isInteger || shape.isFloat;
}

function mark(cell: HTMLElement, kind: string): void {
  if (cell.dataset["st"] !== kind) cell.dataset["st"] = kind;
}

function setText(cell: HTMLElement, text: string): void {
  if (cell.textContent !== text) cell.textContent = text;
}

/** A text that is an address and nothing else. */
const LINK = /^https?:\/\/[^\s<>"]+$/;

/** Shows an address as a link. It is no stop of the Tab key: the details of the row have it, too. */
function setLink(cell: HTMLElement, address: string): void {
  const text = visible(address);
  const found = cell.firstElementChild;
  if (found instanceof HTMLAnchorElement && found.dataset["address"] === address) return;
  const link = document.createElement("a");
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.tabIndex = -1;
  link.dataset["address"] = address;
  link.textContent = text;
  cell.replaceChildren(link);
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
    showPicture(image, media.url);
    image.alt = media.caption || "image";
    // The pixels of a small picture stay sharp.
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
