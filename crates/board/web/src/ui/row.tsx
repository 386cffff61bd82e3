// A row in full.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type RowText } from "../api";
import { formatCount, mediaOf, oddFloat } from "../values";
import { Button } from "./button";
import { MediaView } from "./media";
import { Loading, State } from "./state";
import { toast } from "./toast";

interface RowDrawerProps {
  table: string;
  position: number;
  onMove(position: number): void;
  onClose(): void;
}

/** Shows a row with each of its columns in full, beside the grid. */
export function RowDrawer({ table, position, onMove, onClose }: RowDrawerProps) {
  const [row, setRow] = useState<RowText | null>(null);
  const [error, setError] = useState<string | null>(null);
  const root = useRef<HTMLElement>(null);

  useEffect(() => {
    let isGone = false;
    api
      .row(table, position)
      .then((row) => {
        if (isGone) return;
        setRow(row);
        setError(row ? null : "There is no row at this place.");
      })
      .catch((error: ApiError) => isGone || setError(error.message));
    return () => {
      isGone = true;
    };
  }, [table, position]);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    root.current?.focus();
    return () => before?.focus?.();
  }, []);

  const copy = async () => {
    if (!row) return;
    await navigator.clipboard.writeText(indented(row.json));
    toast("The row's JSON is copied");
  };
  return (
    <aside
      class="drawer"
      ref={root}
      tabIndex={-1}
      aria-label={`Row ${position}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <header>
        <h2>Row {formatCount(position)}</h2>
        <Button
          icon="left"
          label="Row before"
          bare
          disabled={position === 0}
          onClick={() => onMove(position - 1)}
        />
        <Button icon="right" label="Row after" bare onClick={() => onMove(position + 1)} />
        <Button icon="copy" label="Copy JSON" onClick={() => void copy()} />
        <Button icon="close" label="Close" bare onClick={onClose} />
      </header>
      {error ? (
        <State title="No row">{error}</State>
      ) : row ? (
        <Cells row={row} table={table} />
      ) : (
        <Loading what="Loading the row…" />
      )}
    </aside>
  );
}

function Cells({ row, table }: { row: RowText; table: string }) {
  return (
    <dl class="cells">
      {cellsOf(row.json).map(([name, text], i) => (
        <div key={i} class={name.startsWith("_") ? "system" : ""}>
          <dt>
            <bdi>{name}</bdi>
          </dt>
          <dd>
            <Value text={text} table={table} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A value from its JSON text, which is kept: an integer may have more digits than a number. */
function Value({ text, table }: { text: string; table: string }): ComponentChildren {
  if (text === "null") return <span class="null">null</span>;
  if (!/^["[{]/.test(text)) return <code>{text}</code>;
  const value: unknown = JSON.parse(text);
  const media = mediaOf(value, table);
  if (media) return <MediaView media={media} />;
  if (typeof value !== "string") {
    return (
      <details open={text.length < 400}>
        <summary>{Array.isArray(value) ? `${value.length} items` : "fields"}</summary>
        <pre>{indented(text)}</pre>
      </details>
    );
  }
  const odd = oddFloat(value);
  if (odd) return <span class="odd">{odd}</span>;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return <Instant text={value} />;
  return <p class="text">{value === "" ? <span class="null">empty text</span> : value}</p>;
}

function Instant({ text }: { text: string }) {
  const at = new Date(text);
  return (
    <time dateTime={text} title={text}>
      {at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })} <small>{text}</small>
    </time>
  );
}

/** Splits an object's JSON text into its members, their values untouched. */
export function cellsOf(json: string): [string, string][] {
  const cells: [string, string][] = [];
  const names = Object.keys(JSON.parse(json) as object);
  let at = 1;
  for (let i = 0; at < json.length && json[at] !== "}"; i++) {
    const name = endOfValue(json, at);
    const value = json.slice(name).search(/[^\s:]/) + name;
    const end = endOfValue(json, value);
    cells.push([JSON.parse(json.slice(at, name)) as string, json.slice(value, end).trim()]);
    at = json[end] === "," ? end + 1 + json.slice(end + 1).search(/\S/) : end;
    if (i > names.length + 1) break;
  }
  return cells;
}

/** Where the JSON value that begins at a place ends. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let i = start; i < json.length; i++) {
    const c = json[i];
    if (c === '"') {
      i += 1;
      while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      if (depth === 0) return i + 1;
    } else if (c === "{" || c === "[") {
      depth += 1;
    } else if (c === "}" || c === "]") {
      if (depth === 0) return i;
      depth -= 1;
      if (depth === 0) return i + 1;
    } else if (depth === 0 && c === ",") {
      return i;
    }
  }
  return json.length;
}

/** Indents JSON without reading its numbers. */
export function indented(json: string): string {
  let out = "";
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const c = json[i] as string;
    if (c === '"') {
      const end = endOfValue(json, i);
      out += json.slice(i, end);
      i = end - 1;
    } else if (c === "{" || c === "[") {
      const isEmpty = /^[\]}]/.test(json.slice(i + 1).trimStart());
      depth += 1;
      out += isEmpty ? c : `${c}\n${"  ".repeat(depth)}`;
    } else if (c === "}" || c === "]") {
      depth -= 1;
      out += /[{[]$/.test(out) ? c : `\n${"  ".repeat(depth)}${c}`;
    } else if (c === ",") {
      out += `,\n${"  ".repeat(depth)}`;
    } else if (c === ":") {
      out += ": ";
    } else if (!/\s/.test(c)) {
      out += c;
    }
  }
  return out;
}
