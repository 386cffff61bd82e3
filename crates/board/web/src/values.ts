// The values of cells, and how they are shown.

import { type Column, path } from "./api";

/** A file of this server that a cell names: a picture, a sound, a film or a document. */
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

/** The columns that the server adds to each table. */
export const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["_writer", "_line", "_pos"]);

/** The parts of a column's type that decide how its cells are shown. */
export interface Shape {
  isBool: boolean;
  isMedia: boolean;
  isInteger: boolean;
  isFloat: boolean;
  isNested: boolean;
  isTime: boolean;
  isUnion: boolean;
}

const PLAIN: Shape = {
  isBool: false,
  isMedia: false,
  isInteger: false,
  isFloat: false,
  isNested: false,
  isTime: false,
  isUnion: false,
};

export type Shapes = ReadonlyMap<string, Shape>;

/** The column of the rows' times, and its name in tables whose users have a column of that name. */
const ROW_TIME = "timestamp";
const LOG_TIME = "_timestamp";

/**
 * Reads the types of a schema, such as `integer?`, `list<float>` or `string | image`. The first shape is that of
 * the rows' times, which a schema need not have.
 */
export function shapesOf(columns: Column[]): Shapes {
  const isUsers = columns.some(({ name, type }) => name === ROW_TIME && membersOf(type).some((member) => member !== "timestamp"));
  const time = isUsers ? LOG_TIME : ROW_TIME;
  const own = columns.filter(({ name }) => name !== time);
  return new Map([[time, { ...PLAIN, isTime: true }], ...own.map(({ name, type }): [string, Shape] => [name, shapeOf(type)])]);
}

/** Returns the column with the times of a table's rows, on which ranges and charts over time are based. */
export function rowTimeOf(shapes: Shapes): string {
  return shapes.has(LOG_TIME) ? LOG_TIME : ROW_TIME;
}

function shapeOf(type: string): Shape {
  const members = membersOf(type);
  const all = (is: RegExp) => members.length > 0 && members.every((member) => is.test(member));
  return {
    isBool: all(/^bool(ean)?$/),
    isMedia: members.some((member) => /^(image|audio|video|html|markdown)$/.test(member)),
    isInteger: all(/^int$/),
    isFloat: all(/^(int|float)$/) && !all(/^int$/),
    isNested: members.some((member) => /^(list<|struct\{)/.test(member)),
    isTime: all(/^timestamp$/),
    isUnion: members.length > 1,
  };
}

/** Splits a type at its outermost bars, without the member that makes it optional. */
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
 * Returns the file that a cell names, or null if it names none. `table` is the full name of the table,
 * from which the address follows if the cell has only the file's path.
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

/** Adds a digest to a file's address, so that the browser may cache the file for good. */
function withDigest(url: string, digest: string): string {
  return digest && !url.includes("?") ? `${url}?sha256=${digest}` : url;
}

/** Returns the path of an address of this server; null for any other address. */
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

/** Returns the text of a float that JSON cannot write as a number, or null for other values. */
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

/** Floats from this size on, and below `SMALLEST_PLAIN`, are written with an exponent. */
const LARGEST_PLAIN = 1e15;
const SMALLEST_PLAIN = 1e-5;

/**
 * Formats a float of a cell. It never rounds digits before the decimal point: six significant digits,
 * or two decimals where these show more.
 */
export function formatFloat(value: number): string {
  const odd = oddFloat(value);
  if (odd !== null) return odd;
  const size = Math.abs(value);
  if (size >= LARGEST_PLAIN) return value.toExponential().replace("e+", "e");
  if (size > 0 && size < SMALLEST_PLAIN) return Number(value.toPrecision(6)).toExponential();
  return floats.format(value);
}

/** The options of [`formatFloat`] between its two bounds, as the viewer's own formatter takes them. */
export const FLOAT_FORMAT = {
  maximumFractionDigits: 2,
  maximumSignificantDigits: 6,
  roundingPriority: "morePrecision",
  useGrouping: false,
} as const;

// TypeScript's library does not declare `roundingPriority` for ES2022.
const floats = new Intl.NumberFormat("en-US", FLOAT_FORMAT as Intl.NumberFormatOptions);

/** Characters that change the direction of the text around them. */
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Replaces characters that would reorder the text around them by their code points. */
export function visible(text: string): string {
  const code = (c: string) => (c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return text.replace(DIRECTIONS, (c) => `⟨U+${code(c)}⟩`);
}

/** Formats a number for people, with about three significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return oddFloat(value) ?? "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) {
    return (value < 0 ? "−" : "") + formatCount(Math.abs(value));
  }
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  if (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e12) return value.toPrecision(3).replace("e+", "e");
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

/** Returns how long ago an instant was, such as `3 min ago`. */
export function formatAgo(at: Date, now = new Date()): string {
  const seconds = Math.max(0, (now.getTime() - at.getTime()) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  return at.toLocaleDateString();
}
