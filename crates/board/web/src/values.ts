// What cells hold, and how it is shown.

import { type Column, path } from "./api";

/** A picture, a sound, a page: what a cell says of a file that this server serves. */
export interface Media {
  kind: MediaKind;
  url: string;
  path: string;
  format: string;
  caption: string;
  width: number | undefined;
  height: number | undefined;
  size: number | undefined;
}

export type MediaKind = "image" | "audio" | "video" | "html" | "markdown";

const KINDS: Record<string, MediaKind> = {
  "audio-file": "audio",
  "html-file": "html",
  "image-file": "image",
  "markdown-file": "markdown",
  "video-file": "video",
};

/** Columns that every table has beside its own. */
export const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["_writer", "_line", "_pos"]);

/** What a schema's types say of how a column's cells are to be shown. */
export interface Shape {
  isMedia: boolean;
  isInteger: boolean;
  isFloat: boolean;
  isNested: boolean;
  isTime: boolean;
  isUnion: boolean;
}

const PLAIN: Shape = {
  isMedia: false,
  isInteger: false,
  isFloat: false,
  isNested: false,
  isTime: false,
  isUnion: false,
};

export type Shapes = ReadonlyMap<string, Shape>;

/** Reads the types of a schema, such as `integer?`, `list<float>` or `string | image`. */
export function shapesOf(columns: Column[]): Shapes {
  return new Map(columns.map(({ name, type }) => [name, shapeOf(type)]));
}

function shapeOf(type: string): Shape {
  const members = membersOf(type);
  const all = (is: RegExp) => members.length > 0 && members.every((member) => is.test(member));
  return {
    isMedia: members.some((member) => /^(image|audio|video|html|markdown)$/.test(member)),
    isInteger: all(/^int$/),
    isFloat: all(/^(int|float)$/) && !all(/^int$/),
    isNested: members.some((member) => /^(list<|struct\{)/.test(member)),
    isTime: all(/^timestamp$/),
    isUnion: members.length > 1,
  };
}

/** Splits a type at its outermost bars, and drops what says that it may be null. */
function membersOf(type: string): string[] {
  const members: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= type.length; i++) {
    const c = type[i];
    if (c === "<" || c === "{" || c === "(" || c === "[") depth += 1;
    else if (c === ">" || c === "}" || c === ")" || c === "]") depth -= 1;
    else if (i === type.length || (c === "|" && depth === 0)) {
      members.push(type.slice(start, i).trim().replace(/\?$/, ""));
      start = i + 1;
    }
  }
  return members.filter((member) => member && member !== "null" && member !== "none");
}

export function shapeIn(shapes: Shapes, column: string): Shape {
  return shapes.get(column) ?? PLAIN;
}

/**
 * Reads what a cell says of a file; null where it holds something else. `table` is the full name of
 * the table, which gives the address where the cell has only the file's path.
 */
export function mediaOf(value: unknown, table: string): Media | null {
  if (typeof value === "string") {
    if (!value.startsWith('{"_type":')) return null;
    try {
      return mediaOf(JSON.parse(value), table);
    } catch {
      return null;
    }
  }
  if (typeof value !== "object" || value === null) return null;
  const cell = value as Record<string, unknown>;
  const kind = KINDS[String(cell["_type"])];
  if (!kind) return null;
  const text = (name: string) => (typeof cell[name] === "string" ? (cell[name] as string) : "");
  const number = (name: string) => (typeof cell[name] === "number" ? cell[name] : undefined);
  const file = text("path");
  const url = localUrl(cell["url"] ?? `/files/${path(...table.split("/"), ...file.split("/"))}`);
  if (!url) return null;
  return {
    kind,
    url: withDigest(url, text("sha256")),
    path: file,
    format: text("format"),
    caption: text("caption"),
    width: number("width"),
    height: number("height"),
    size: number("size"),
  };
}

/** What a file's address names by its digest never changes, and need not be asked for again. */
function withDigest(url: string, digest: string): string {
  return digest && !url.includes("?") ? `${url}?sha256=${digest}` : url;
}

/** An address on this server, and no other. */
function localUrl(url: unknown): string | null {
  if (typeof url !== "string") return null;
  try {
    const full = new URL(url, location.origin);
    return full.origin === location.origin ? full.pathname + full.search : null;
  } catch {
    return null;
  }
}

const FLOATS: Record<string, string> = {
  Infinity: "∞",
  "-Infinity": "−∞",
  NaN: "NaN",
};

/** The sign of a float that JSON has no number for, or null. */
export function oddFloat(value: unknown): string | null {
  if (typeof value === "number" && !Number.isFinite(value)) return FLOATS[String(value)] ?? null;
  return typeof value === "string" ? (FLOATS[value] ?? null) : null;
}

const count = new Intl.NumberFormat("en-US");

export function formatCount(n: number): string {
  return count.format(n).replaceAll(",", " ");
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

export function formatBytes(n: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

/** Writes a number for people: as many digits as tell something. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return oddFloat(value) ?? "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) {
    return (value < 0 ? "−" : "") + formatCount(Math.abs(value));
  }
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  if (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e12) return value.toPrecision(3);
  const text = formatter(digits).format(Math.abs(value)).replaceAll(",", " ");
  return (value < 0 ? "−" : "") + text;
}

const formatters = new Map<number, Intl.NumberFormat>();

function formatter(digits: number): Intl.NumberFormat {
  let found = formatters.get(digits);
  if (!found) {
    found = new Intl.NumberFormat("en-US", { maximumFractionDigits: digits });
    formatters.set(digits, found);
  }
  return found;
}

/** Says how long ago something was, such as `3 min ago`. */
export function formatAgo(at: Date, now = new Date()): string {
  const seconds = Math.max(0, (now.getTime() - at.getTime()) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  return at.toLocaleDateString();
}
