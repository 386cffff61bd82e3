// A row with all its columns.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type RowText } from "../api";
import type { RowAt } from "../grid/walk";
import { cellsOf, indented } from "../json";
import { formatCount, mediaOf, oddFloat } from "../values";
import { Button } from "./button";
import { MediaView } from "./media";
import { Loading, State } from "./state";
import { toast, toastError } from "./toast";

interface RowDrawerProps {
  at: RowAt;
  onMove(row: RowAt): void;
  onClose(): void;
}

/** Shows a row with each of its columns in full, beside the grid. Its arrows follow the view's order. */
export function RowDrawer({ at, onMove, onClose }: RowDrawerProps) {
  const { table, position } = at;
  const [ends, setEnds] = useState({ isFirst: false, isLast: false });
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

  /** The row that the steps so far lead to: a step starts where the one before it ends. */
  const walk = useRef({ shown: at, end: Promise.resolve(at) });
  if (walk.current.shown !== at) walk.current = { shown: at, end: Promise.resolve(at) };
  const move = (by: number) => {
    const state = walk.current;
    const step = async (from: RowAt) => {
      const next = await from.step(by);
      setEnds({ isFirst: by < 0 && !next, isLast: by > 0 && !next });
      if (!next) return from;
      state.shown = next;
      onMove(next);
      return next;
    };
    const { end } = state;
    state.end = end.then(step).catch((error) => {
      toastError(error);
      return end;
    });
  };
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
          disabled={ends.isFirst}
          onClick={() => move(-1)}
        />
        <Button
          icon="right"
          label="Row after"
          bare
          disabled={ends.isLast}
          onClick={() => move(1)}
        />
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

/** The members that the server adds to a row's own cells. */
const ADDED = new Set(["_position", "_writer", "_line", "_step"]);

function Cells({ row, table }: { row: RowText; table: string }) {
  const cells = cellsOf(row.json);
  const isAdded = ([name]: [string, string]) => ADDED.has(name);
  const ordered = [...cells.filter((cell) => !isAdded(cell)), ...cells.filter(isAdded)];
  return (
    <dl class="cells">
      {ordered.map(([name, text], i) => (
        <div key={i} class={ADDED.has(name) ? "system" : ""}>
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
