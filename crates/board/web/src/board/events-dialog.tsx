// The dialog of a board's events.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type TableSummary } from "../api";
import { instantText } from "../chart/time";
import { namesOf } from "../grid/defaults";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { toastError } from "../ui/toast";
import { clipped, NameOptions } from "../ui/names";
import { rowTimeOf, type Shapes, visible } from "../values";
import { type EventErrors, type EventSource, keyOf } from "./events";
import { local } from "./range-dialog";
import { shapesOfTable } from "./shapes";

interface EventsDialogProps {
  entity: string;
  project: string;
  sources: EventSource[];
  errors: EventErrors;
  onChange(sources: EventSource[]): void;
  onClose(): void;
}

export function EventsDialog({ entity, project, sources, errors, onChange, onClose }: EventsDialogProps) {
  const add = (source: EventSource) => {
    if (!sources.some((it) => keyOf(it) === keyOf(source))) onChange([...sources, source]);
  };
  return (
    <Dialog title="Events on charts" onClose={onClose} actions={<Button label="Done" kind="primary" onClick={onClose} />}>
      <p class="hint">All charts over time show events as lines. They belong to the board: save it to keep them.</p>
      {sources.length > 0 && (
        <ul class="keys" aria-label="Events">
          {sources.map((source) => (
            <li key={keyOf(source)}>
              <span>
                <bdi>{"table" in source ? visible(source.table) : visible(source.text)}</bdi>
                <small>
                  {"table" in source
                    ? source.label === null ? "each row" : `each row, named by ${visible(source.label)}`
                    : instantText(Date.parse(source.at))}
                </small>
                {errors[keyOf(source)] && <small class="refusal">cannot be read: {errors[keyOf(source)]}</small>}
              </span>
              <Button
                icon="trash"
                label={`Remove ${"table" in source ? source.table : source.text}`}
                bare
                onClick={() => onChange(sources.filter((it) => it !== source))}
              />
            </li>
          ))}
        </ul>
      )}
      <AddTable entity={entity} project={project} onAdd={add} />
      <AddInstant onAdd={add} />
    </Dialog>
  );
}

function AddTable({ entity, project, onAdd }: Pick<EventsDialogProps, "entity" | "project"> & { onAdd(source: EventSource): void }) {
  const [tables, setTables] = useState<TableSummary[]>([]);
  const [table, setTable] = useState("");
  const [shapes, setShapes] = useState<Shapes | null>(null);
  const label = useRef<HTMLSelectElement>(null);
  useEffect(() => {
    api.tables(entity, project).then(setTables, toastError);
  }, []);
  useEffect(() => {
    setShapes(null);
    if (table) shapesOfTable(table).then(setShapes, toastError);
  }, [table]);
  const names = shapes ? namesOf(shapes).filter((name) => name !== rowTimeOf(shapes) && !shapes.get(name)?.isMedia) : [];
  return (
    <form
      class="add-event"
      onSubmit={(event) => {
        event.preventDefault();
        onAdd({ table, label: label.current?.value || null });
      }}
    >
      <label class="field">
        <span>The rows of a table</span>
        <select value={table} required onChange={(event) => setTable(event.currentTarget.value)}>
          <option value="">Choose a table</option>
          {tables.map((it) => (
            <option key={it.name} value={it.name}>
              {clipped(it.table)}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Named by</span>
        <select ref={label} key={table} defaultValue="" disabled={!shapes}>
          <option value="">its name</option>
          <NameOptions names={names} />
        </select>
      </label>
      <button type="submit" class="button">
        Add the table
      </button>
    </form>
  );
}

function AddInstant({ onAdd }: { onAdd(source: EventSource): void }) {
  const form = useRef<HTMLFormElement>(null);
  const value = (name: string) => String(new FormData(form.current ?? undefined).get(name) ?? "").trim();
  return (
    <form
      ref={form}
      class="add-event"
      onSubmit={(event) => {
        event.preventDefault();
        const text = value("text");
        if (!text) return;
        onAdd({ at: new Date(value("at")).toISOString(), text });
        form.current?.reset();
      }}
    >
      <label class="field">
        <span>One event, your time</span>
        <input type="datetime-local" name="at" step="1" required defaultValue={local(Date.now())} />
      </label>
      <label class="field">
        <span>Text</span>
        <input name="text" required maxLength={200} placeholder="version 2 is out" />
      </label>
      <button type="submit" class="button">
        Add the event
      </button>
    </form>
  );
}
