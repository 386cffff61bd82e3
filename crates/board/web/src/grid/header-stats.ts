// The header's second part: the type of a column, its statistics, and the button of its menu.

import { formatCount, shapeIn, type Shape, type Shapes, SYSTEM_COLUMNS } from "../values";
import type { Filter, Table, ViewConfig } from "../live/perspective";
import { positionColumn } from "../live/sample";
import { type Bar, type ColumnStats, sampleOf, statsOf } from "./stats";

export interface HeaderEvents {
  /** Called when a part of a column's statistics was chosen. */
  onFilter(filter: Filter[]): void;
  /** Called when the menu of a column was asked for. */
  onMenu(column: string, at: DOMRect): void;
  table(): Promise<Table>;
  /** Returns the filters of the view. */
  rows(): ViewConfig;
  shapes(): Shapes;
}

/** The time from one read to the next: in proportion to the duration of the read. */
const PAUSE_MS = { least: 2_000, most: 10_000 };
const PAUSE_FACTOR = 10;

/** How many values a header lists. */
const LISTED = 3;

/**
 * Keeps the parts of the headers on the screen up to date: reads the statistics of the columns that
 * are shown again when rows have come, in larger steps if reads are slow.
 */
export class HeaderStats {
  readonly #parts = new Map<string, HTMLElement>();
  readonly #stats = new Map<string, ColumnStats | null>();
  #shown: string[] = [];
  /** Identifies the data from which the statistics were computed. */
  #read = "";
  #isReading = false;
  #timer: number | undefined;
  #rows = 0;

  constructor(private readonly events: HeaderEvents) {}

  /** Returns the part of a column's header. */
  part(column: string): HTMLElement {
    let part = this.#parts.get(column);
    if (!part) {
      part = this.#make(column);
      this.#parts.set(column, part);
    }
    return part;
  }

  /** Call after each draw with the columns on the screen and the number of rows. */
  drawn(columns: string[], rows: number): void {
    this.#shown = columns;
    this.#rows = rows;
    if (this.#isReading || this.#timer !== undefined || !this.#isStale()) return;
    void this.#readAll();
  }

  /** Returns the statistics of a column as far as they are known. */
  of(column: string): ColumnStats | null {
    return this.#stats.get(column) ?? null;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isReading = true;
  }

  #key(): string {
    return JSON.stringify([this.events.rows(), this.#rows]);
  }

  #isStale(): boolean {
    return this.#key() !== this.#read || this.#shown.some((column) => !this.#stats.has(column));
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    const begin = performance.now();
    const key = this.#key();
    const isSame = key === this.#read;
    try {
      const table = await this.events.table();
      const [total, position] = await Promise.all([table.size(), positionColumn(table)]);
      const rows = sampleOf(this.events.rows(), total, position);
      for (const column of this.#shown) {
        if (isSame && this.#stats.has(column)) continue;
        // A column with too many values to count has no statistics.
        const stats = await statsOf(table, column, this.events.shapes(), rows).catch(() => null);
        this.#stats.set(column, stats);
        this.#show(column, stats);
      }
      this.#read = key;
    } catch {
      // Read again with the next draw, after a lost connection with that of the new one.
    }
    this.#isReading = false;
    const pause = Math.min(PAUSE_MS.most, Math.max(PAUSE_MS.least, (performance.now() - begin) * PAUSE_FACTOR));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!document.hidden && this.#isStale()) void this.#readAll();
    }, pause);
  }

  #make(column: string): HTMLElement {
    const part = document.createElement("div");
    part.className = "st-head";
    const menu = document.createElement("button");
    menu.type = "button";
    menu.className = "st-menu";
    menu.textContent = "▾";
    menu.setAttribute("aria-label", `Menu of ${column}`);
    menu.setAttribute("aria-haspopup", "menu");
    menu.addEventListener("click", () => this.events.onMenu(column, menu.getBoundingClientRect()));
    const type = document.createElement("span");
    type.className = "st-type";
    const isOwn = this.events.shapes().has(column) || SYSTEM_COLUMNS.has(column);
    type.textContent = isOwn ? typeName(shapeIn(this.events.shapes(), column)) : "computed";
    const stats = document.createElement("div");
    stats.className = "st-stats";
    part.append(type, menu, stats);
    return part;
  }

  #show(column: string, stats: ColumnStats | null): void {
    const target = this.part(column).querySelector(".st-stats");
    if (!target) return;
    if (!stats || (stats.bars.length === 0 && stats.empty === 0)) return target.replaceChildren();
    target.replaceChildren(...(stats.kind === "top" ? this.#list(stats) : this.#histogram(stats)));
  }

  #list(stats: ColumnStats): HTMLElement[] {
    const lines = stats.bars.slice(0, LISTED).map((bar) => {
      const line = this.#bar(bar, stats.rows, "st-top");
      line.style.setProperty("--share", String(bar.count / Math.max(1, stats.rows)));
      const value = document.createElement("bdi");
      value.textContent = bar.value === "" ? '""' : bar.value;
      const share = document.createElement("span");
      share.textContent = percent(bar.count, stats.rows);
      line.append(value, share);
      return line;
    });
    // Values that occur once each say nothing one by one.
    const isUnique = (stats.bars[0]?.count ?? 0) <= 1 && (stats.distinct ?? 0) > LISTED;
    const distinct = stats.distinct ?? 0;
    const more = distinct > LISTED ? `${formatCount(distinct)} values` : "";
    const note = [more, emptyText(stats)].filter(Boolean).join(" · ");
    if (isUnique) return [caption(note)];
    return note ? [...lines.slice(0, LISTED - 1), caption(note)] : lines;
  }

  #histogram(stats: ColumnStats): HTMLElement[] {
    const most = Math.max(1, ...stats.bars.map((bar) => bar.count));
    const bars = document.createElement("div");
    bars.className = "st-bars";
    bars.append(
      ...stats.bars.map((bar) => {
        const element = this.#bar(bar, stats.rows, "st-bar");
        element.style.setProperty("--share", String(bar.count / most));
        return element;
      }),
    );
    const ends = stats.bars.length > 1 ? `${short(stats.bars[0])} – ${short(stats.bars.at(-1))}` : (stats.bars[0]?.value ?? "");
    return [bars, caption([ends, emptyText(stats)].filter(Boolean).join(" · "))];
  }

  #bar({ label, count, filter }: Bar, rows: number, className: string): HTMLElement {
    const bar = document.createElement("div");
    bar.className = className;
    bar.title = `${label}: ${formatCount(count)} rows, ${percent(count, rows)}`;
    if (filter.length > 0) bar.addEventListener("click", () => this.events.onFilter(filter));
    return bar;
  }
}

function caption(text: string): HTMLElement {
  const caption = document.createElement("div");
  caption.className = "st-caption";
  caption.textContent = text;
  caption.title = text;
  return caption;
}

function short(bar: Bar | undefined): string {
  const text = bar?.value ?? "";
  // The time of day is enough: the cells have the date.
  return /\d{2}:\d{2}/.exec(text) ? (text.split(", ").at(-1) ?? text) : text;
}

function percent(count: number, rows: number): string {
  const share = (100 * count) / Math.max(1, rows);
  return `${share > 0 && share < 1 ? "<1" : Math.round(share)} %`;
}

function emptyText({ empty, rows }: ColumnStats): string {
  return empty > 0 ? `${percent(empty, rows)} empty` : "";
}

/** Names the type of a column in a word. */
export function typeName(shape: Shape): string {
  if (shape.isTime) return "time";
  if (shape.isMedia) return "media";
  if (shape.isNested) return "nested";
  if (shape.isUnion && !shape.isInteger && !shape.isFloat) return "mixed";
  if (shape.isBool) return "bool";
  if (shape.isInteger) return "int";
  return shape.isFloat ? "float" : "text";
}
