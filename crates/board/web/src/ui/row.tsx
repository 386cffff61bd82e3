// A row with all its columns.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type RowText } from "../api";
import type { FieldPath } from "../grid/fields";
import type { RowAt } from "../grid/walk";
import { cellsOf, indented } from "../json";
import type { Filter } from "../live/perspective";
import { formatCount } from "../values";
import { Button } from "./button";
import { RowNotes } from "../parts";
import { Loading, State } from "./state";
import { toast, toastError } from "./toast";
import { isTyping } from "./typing";
import { Fields, Value } from "./value";

/** The keys that go from row to row. */
const STEPS: Record<string, number> = { j: 1, k: -1 };

interface RowDrawerProps {
  at: RowAt;
  /** Called with a condition on a cell; without it, none is offered. */
  onFilter?(filter: Filter): void;
  /** Called to make a column of a field of a nested value; without it, none is offered. */
  onField?(column: string, path: FieldPath, json: string): void;
  onMove(row: RowAt): void;
  /** Whether the reader may label the row and comment on it. */
  writes: boolean;
  /** Called after a change of a label. */
  onLabel?(): void;
  /** Called to show the labels of the table as a column; without it, that is not offered. */
  onLabels?(): void;
  onClose(): void;
}

/** Shows a row with each of its columns in full, beside the grid. Its arrows follow the view's order. */
export function RowDrawer({ at, onFilter, onField, onMove, writes, onLabel, onLabels, onClose }: RowDrawerProps) {
  const { table, position } = at;
  const [ends, setEnds] = useState({ isFirst: false, isLast: false });
  const [row, setRow] = useState<RowText | null>(null);
  const [error, setError] = useState<string | null>(null);
  /** The row that the others are compared with. */
  const [pinned, setPinned] = useState<RowText | null>(null);
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
  const compare = () => setPinned(pinned ? null : row);
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
        if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
        const step = STEPS[event.key];
        if (step) move(step);
        else if (event.key === "d") compare();
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
        <Button icon="pin" label="Compare with other rows (D)" bare pressed={pinned !== null} onClick={compare} />
        <Button icon="copy" label="Copy JSON" onClick={() => void copy()} />
        <Button icon="close" label="Close" bare onClick={onClose} />
      </header>
      {pinned && (
        <p class="compared-with" role="status">
          {pinned.position === position
            ? `Row ${formatCount(position)} is kept: go to another row to compare.`
            : `Compared with row ${formatCount(pinned.position)}, which is struck out.`}
        </p>
      )}
      {row && !error && <RowNotes table={table} position={position} writes={writes} onLabel={onLabel} onColumn={onLabels} />}
      {error ? (
        <State title="No row">{error}</State>
      ) : row ? (
        <Cells
          row={row}
          table={table}
          other={pinned && pinned.position !== row.position ? pinned : null}
          onFilter={onFilter}
          onField={onField}
        />
      ) : (
        <Loading what="Loading the row…" />
      )}
    </aside>
  );
}

/** The members that the server adds to a row's own cells. */
const ADDED = new Set(["_position", "_writer", "_line", "_step"]);

interface CellsProps {
  row: RowText;
  table: string;
  /** The row to compare with. */
  other: RowText | null;
  onFilter: ((filter: Filter) => void) | undefined;
  onField: RowDrawerProps["onField"];
}

function Cells({ row, table, other, onFilter, onField }: CellsProps) {
  const cells = cellsOf(row.json);
  const others = other && new Map(cellsOf(other.json));
  const missing = others ? [...others.keys()].filter((name) => !cells.some(([it]) => it === name)) : [];
  const all: [string, string][] = [...cells, ...missing.map((name): [string, string] => [name, "null"])];
  const isAdded = ([name]: [string, string]) => ADDED.has(name);
  const ordered = [...all.filter((cell) => !isAdded(cell)), ...all.filter(isAdded)];
  return (
    <dl class={others ? "cells compared" : "cells"}>
      {ordered.map(([name, text], i) => {
        const before = others?.get(name) ?? "null";
        const isSame = others !== null && before === text;
        return (
          <div key={i} class={`${ADDED.has(name) ? "system" : ""} ${others && !isSame ? "changed" : ""}`}>
            <dt>
              <bdi>{name}</bdi>
              {!ADDED.has(name) && <CellTools name={name} text={text} onFilter={onFilter} />}
            </dt>
            {others && !isSame && (
              <dd class="before">
                <Value text={before} table={table} />
              </dd>
            )}
            <dd>
              <Fields.Provider value={onField ? { column: name, onField: (path, json) => onField(name, path, json) } : null}>
                <Value text={text} table={table} />
              </Fields.Provider>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function CellTools({ name, text, onFilter }: { name: string; text: string; onFilter: CellsProps["onFilter"] }) {
  const filter = filterOf(name, text);
  const copy = async () => {
    await navigator.clipboard.writeText(text.startsWith('"') ? String(JSON.parse(text)) : indented(text));
    toast("The value is copied");
  };
  return (
    <span class="cell-tools">
      {onFilter && filter && <Button icon="search" label={`Filter by this ${name}`} bare onClick={() => onFilter(filter)} />}
      <Button icon="copy" label={`Copy ${name}`} bare onClick={() => void copy()} />
    </span>
  );
}

/** Returns the condition that rows with the same value fulfil; null for values without one. */
function filterOf(name: string, text: string): Filter | null {
  if (text === "null") return [name, "is null"];
  if (/^[[{]/.test(text)) return null;
  const value: unknown = JSON.parse(text);
  // An integer that no double holds goes as its digits.
  return [name, "==", typeof value === "number" && String(value) !== text ? text : value];
}
