// The editor of a monitor's document.

import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "../api";
import { ConflictDialog, type Theirs } from "../board/dialogs";
import { freeName, nameOf } from "../board/document";
import { shapesOfTable } from "../board/shapes";
import { namesOf } from "../grid/defaults";
import { Button } from "../ui/button";
import { quoted } from "../sql-text";
import { NameOptions } from "../ui/names";
import { toast, toastError } from "../ui/toast";
import { type Shapes, SYSTEM_COLUMNS } from "../values";
import { monitors, type Place, type Tried } from "./api";
import { ConditionFields } from "./condition-fields";
import { completed, fieldOf, type MonitorDocument, reasonOf, type Window, written } from "./document";
import { TriedNote } from "./detail";
import { Choice, Field, type Refusal } from "./fields";

const SEVERITIES = ["info", "warning", "error", "critical"];

const NO_DATA: [string, string][] = [
  ["no_data", "a state that is reported"],
  ["ok", "ok: groups come and go"],
  ["keep", "the state does not change"],
];

interface EditorProps {
  place: Place;
  /** The name of the monitor; null for a new one. */
  name: string | null;
  first: MonitorDocument;
  /** The version that is changed. */
  etag: string;
  onSaved(name: string): void;
  onClose(): void;
}

export function MonitorEditor({ place, name, first, etag: firstTag, onSaved, onClose }: EditorProps) {
  const [document, setDocument] = useState(first);
  const [etag, setEtag] = useState(firstTag);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [tried, setTried] = useState<Tried | null>(null);
  const [theirs, setTheirs] = useState<Theirs | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [shapes, setShapes] = useState<Shapes>(new Map());
  const [tables, setTables] = useState<string[]>([]);
  const [targets, setTargets] = useState<string[]>([]);
  useEffect(() => {
    api.tables(place.entity, null).then((all) => setTables(all.map((it) => it.name)), toastError);
    monitors.targets(place).then(setTargets, toastError);
  }, []);
  useEffect(() => {
    shapesOfTable(document.table).then(setShapes, () => setShapes(new Map()));
  }, [document.table]);
  const isChanged = document !== first;
  useEffect(() => {
    if (!isChanged) return;
    const onLeave = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", onLeave);
    return () => removeEventListener("beforeunload", onLeave);
  }, [isChanged]);
  const set = (changes: Partial<MonitorDocument>) => {
    setDocument({ ...document, ...changes });
    setRefusal(null);
    setTried(null);
  };
  const columns = namesOf(shapes).filter((it) => !SYSTEM_COLUMNS.has(it));

  const refused = (error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 400) return toastError(error);
    setRefusal({ field: fieldOf(error.message), reason: reasonOf(error.message) });
  };
  const during = async (action: () => Promise<void>) => {
    setBusy(true);
    setRefusal(null);
    try {
      await action();
    } catch (error) {
      refused(error);
    }
    setBusy(false);
  };
  const tryOut = () => during(async () => setTried(await monitors.tryOut(place, written(document))));
  const save = (tag: string | null) =>
    during(async () => {
      try {
        const own = name ?? freeName(nameOf(document.title), (await monitors.list(place)).map((it) => it.name));
        await monitors.save(place, own, written(document), name === null ? "new" : tag);
        toast("The monitor is saved");
        onSaved(own);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 412) throw error;
        setTheirs(error.body as Theirs);
      }
    });
  const showTheirs = () =>
    during(async () => {
      if (name === null) return;
      const found = await monitors.get(place, name);
      setDocument(completed(found.document));
      setEtag(found.etag);
      setTheirs(null);
    });

  const targetsShown = [...new Set([...targets, ...document.notify])];
  return (
    <main class="monitors">
      <form
        class="monitor-editor"
        onSubmit={(event) => {
          event.preventDefault();
          void save(etag);
        }}
      >
        <h2>{name === null ? "New monitor" : "Edit the monitor"}</h2>
        <Field label="Title" name="title" refusal={refusal}>
          {(props) => <input {...props} value={document.title} required maxLength={500} onInput={(event) => set({ title: event.currentTarget.value })} />}
        </Field>

        <fieldset>
          <legend>What it looks at</legend>
          <Field label="Table" name="table" refusal={refusal}>
            {(props) => (
              <select {...props} value={document.table} onChange={(event) => set({ table: event.currentTarget.value })}>
                <NameOptions names={[...new Set([document.table, ...tables])]} />
              </select>
            )}
          </Field>
          <Field label="Only rows where (SQL)" name="where" refusal={refusal}>
            {(props) => <input {...props} class="sql" value={document.where ?? ""} placeholder="path <> '/health'" onInput={(event) => set({ where: event.currentTarget.value })} />}
          </Field>
          <WindowField window={document.window} refusal={refusal} onChange={(window) => set({ window })} />
          <Field label="One state for each (column or SQL)" name="group_by" refusal={refusal}>
            {(props) => (
              <>
                <input {...props} class="sql" value={document.group_by ?? ""} placeholder="one state for all rows" list="monitor-columns" onInput={(event) => set({ group_by: event.currentTarget.value })} />
                <datalist id="monitor-columns">
                  {columns.map((it) => (
                    <option key={it} value={quoted(it)} />
                  ))}
                </datalist>
              </>
            )}
          </Field>
        </fieldset>

        <ConditionFields condition={document.condition} columns={columns} refusal={refusal} onChange={(condition) => set({ condition })} />

        <fieldset>
          <legend>When it fires</legend>
          <Field label="Evaluated every" name="every" refusal={refusal}>
            {(props) => <input {...props} value={document.every} onInput={(event) => set({ every: event.currentTarget.value })} />}
          </Field>
          <Field label="After it is met for" name="for" refusal={refusal}>
            {(props) => <input {...props} value={document.for} onInput={(event) => set({ for: event.currentTarget.value })} />}
          </Field>
          <Field label="Severity" name="severity" refusal={refusal}>
            {(props) => (
              <select {...props} value={document.severity} onChange={(event) => set({ severity: event.currentTarget.value })}>
                <NameOptions names={SEVERITIES} />
              </select>
            )}
          </Field>
          <Choice label="No value means" name="no_data" value={document.no_data} choices={NO_DATA} refusal={refusal} onChange={(no_data) => set({ no_data })} />
          <Field label="Message" name="message" refusal={refusal}>
            {(props) => <input {...props} value={document.message ?? ""} maxLength={500} placeholder="Runbook: https://…" onInput={(event) => set({ message: event.currentTarget.value })} />}
          </Field>
        </fieldset>

        <fieldset>
          <legend>Targets of messages</legend>
          {targetsShown.map((target) => (
            <label key={target} class="check">
              <input
                type="checkbox"
                checked={document.notify.includes(target)}
                onChange={(event) =>
                  set({ notify: event.currentTarget.checked ? [...document.notify, target] : document.notify.filter((it) => it !== target) })
                }
              />{" "}
              <bdi>{target}</bdi> {!targets.includes(target) && <small class="muted">(there is no such target yet)</small>}
            </label>
          ))}
          <p class="hint">
            Targets have secrets, so the command makes them: <code>streamtable monitor target put</code>
          </p>
        </fieldset>

        {refusal?.field === null && (
          <p class="refusal" role="alert">
            {refusal.reason}
          </p>
        )}
        {tried && <TriedNote tried={tried} />}
        <footer class="monitor-actions">
          <Button label="Cancel" onClick={onClose} />
          <Button icon="play" label="Try it" disabled={isBusy} onClick={() => void tryOut()} />
          <button type="submit" class="button primary" disabled={isBusy}>
            Save
          </button>
        </footer>
      </form>
      {theirs && (
        <ConflictDialog
          noun="monitor"
          theirs={theirs}
          onShow={() => void showTheirs()}
          onOverwrite={() => {
            setTheirs(null);
            void save(null);
          }}
          onClose={() => setTheirs(null)}
        />
      )}
    </main>
  );
}

interface WindowProps {
  window: Window;
  refusal: Refusal | null;
  onChange(window: Window): void;
}

const WINDOWS: [keyof Window, string][] = [
  ["last", "The last (such as 5m)"],
  ["rows", "The last rows (a number)"],
  ["since", "Since (an instant in UTC)"],
];

const FIRST_WINDOWS: Record<keyof Window, Window> = { last: { last: "5m" }, rows: { rows: 1000 }, since: { since: "2026-01-01T00:00:00Z" } };

function WindowField({ window, refusal, onChange }: WindowProps) {
  const kind: keyof Window = window.rows !== undefined ? "rows" : window.since !== undefined ? "since" : "last";
  const field = refusal?.field === "window" ? "window" : `window.${kind}`;
  return (
    <div class="pair">
      <label class="field">
        <span>Rows</span>
        <select value={kind} onChange={(event) => onChange(FIRST_WINDOWS[event.currentTarget.value as keyof Window])}>
          {WINDOWS.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <Field label="Window" name={field} refusal={refusal}>
        {(props) => (
          <input
            {...props}
            value={String(window[kind] ?? "")}
            inputMode={kind === "rows" ? "numeric" : "text"}
            onInput={(event) => onChange({ [kind]: kind === "rows" ? Number(event.currentTarget.value) : event.currentTarget.value })}
          />
        )}
      </Field>
    </div>
  );
}
