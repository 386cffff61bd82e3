// One monitor: its groups, its course, its transitions and silences.

import { useRef, useState } from "preact/hooks";
import { panelLink } from "../api";
import { local } from "../board/range-dialog";
import { shapesOfTable } from "../board/shapes";
import { instantText } from "../chart/time";
import { usePolled } from "../runs/use-polled";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Unread } from "../ui/state";
import { toast, toastError } from "../ui/toast";
import { formatAgo, visible } from "../values";
import { monitorsLink } from "./alert";
import { monitors, type Place, type Silence, type StateOfMonitor, type Transition, type Tried } from "./api";
import { type Curve, readCurve } from "./curve";
import { completed, type MonitorDocument, type MonitorState, STATE_NAMES, valueText } from "./document";
import { Spark, StateMark, Value } from "./state";

const PAUSE_MS = 2_000;

/** The pause between two reads of what changes less often. */
const SLOW_MS = 10_000;

const HOUR_MS = 3_600_000;

interface DetailProps {
  place: Place;
  name: string;
  writes: boolean;
  onEdit(): void;
}

export function MonitorDetail({ place, name, writes, onEdit }: DetailProps) {
  const [changes, setChanges] = useState(0);
  const [asked, setAsked] = useState<"silence" | "delete" | null>(null);
  const [tried, setTried] = useState<Tried | null>(null);
  const keys = [place.entity, place.project, name, changes];
  const { value, error } = usePolled(() => readShown(place, name), () => PAUSE_MS, keys);
  const { value: found } = usePolled(() => monitors.transitions(place, name), () => PAUSE_MS, keys);
  // Earlier answers are shown until there are new ones.
  const known = useRef<Known>({ shown: null, rows: null, curve: null });
  const shown = value ?? known.current.shown;
  const { value: course } = usePolled(() => readCourse(shown?.document), () => SLOW_MS, [...keys, JSON.stringify(shown?.document)]);
  known.current = { shown, rows: found ?? known.current.rows, curve: course ?? known.current.curve };
  const { rows, curve } = known.current;
  if (!shown) return <Unread error={error} title="The monitor cannot be opened" what="Loading the monitor…" />;
  const { document, state } = shown;
  const run = async (action: () => Promise<unknown>, what: string) => {
    setAsked(null);
    try {
      await action();
      toast(what);
      setChanges((n) => n + 1);
    } catch (error) {
      toastError(error);
    }
  };
  const test = async () => {
    try {
      setTried(await monitors.sendTest(place, name));
    } catch (error) {
      toastError(error);
    }
  };
  const remove = async () => {
    try {
      await monitors.remove(place, name);
      location.assign(monitorsLink(place.entity, place.project));
    } catch (error) {
      toastError(error);
    }
  };
  const [entity = "", project = "", table = ""] = document.table.split("/");
  return (
    <main class="monitors">
      <header class="section-head monitor-head">
        <div>
          <h2>
            <bdi>{visible(document.title)}</bdi>
          </h2>
          <p class="muted">
            <a href={panelLink(entity, project, table)}>
              <bdi>{visible(document.table)}</bdi>
            </a>{" "}
            · every {document.every}, {windowText(document)}, {document.severity}
            {state.evaluated && ` · evaluated ${formatAgo(new Date(state.evaluated))}`}
          </p>
        </div>
        {writes && (
          <span class="section-tools">
            <Button icon="edit" label="Edit" onClick={onEdit} />
            <Button icon="play" label="Test" onClick={() => void test()} />
            <Button icon="bell" label="Silence…" onClick={() => setAsked("silence")} />
            <Button icon="trash" label="Delete…" onClick={() => setAsked("delete")} />
          </span>
        )}
      </header>
      {error && <p class="stale">Not up to date: {error.message}</p>}
      <div class="monitor-now">
        <StateMark state={state.state} />
        <Value value={state.value} bounds={state.bounds} />
        {curve && curve.values.length > 1 && (
          <Spark values={curve.values} bounds={document.condition} title={`The figure in the last ${curve.values.length} windows`} />
        )}
      </div>
      {tried && <TriedNote tried={tried} />}
      <Silences silences={state.silences} writes={writes} onEnd={() => void run(() => monitors.unsilence(place, name), "The silences have ended")} />
      <Groups state={state} />
      <Transitions rows={rows ?? []} />
      {asked === "silence" && (
        <SilenceDialog
          onDone={(silence) => void run(() => monitors.silence(place, name, silence), "The monitor is silenced")}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "delete" && (
        <Dialog
          title="Delete this monitor?"
          onClose={() => setAsked(null)}
          actions={
            <>
              <Button label="Cancel" onClick={() => setAsked(null)} />
              <Button label="Delete" kind="danger" onClick={() => void remove()} />
            </>
          }
        >
          <p>
            <b>
              <bdi>{visible(document.title)}</bdi>
            </b>{" "}
            is deleted for everybody, and nothing is reported. Its transitions stay in <code>_monitors</code>.
          </p>
        </Dialog>
      )}
    </main>
  );
}

interface Shown {
  document: MonitorDocument;
  state: StateOfMonitor;
}

/** The answers that the page shows. */
interface Known {
  shown: Shown | null;
  rows: Transition[] | null;
  curve: Curve | null;
}

async function readShown(place: Place, name: string): Promise<Shown> {
  const { document } = await monitors.get(place, name);
  // A monitor that was just saved has no state for a moment.
  const state = await monitors.state(place, name).catch(() => ({ groups: [], silences: [], ignored: 0 }) as unknown as StateOfMonitor);
  return { document: completed(document), state };
}

async function readCourse(document: MonitorDocument | undefined): Promise<Curve | null> {
  return document ? readCurve(document, await shapesOfTable(document.table)) : null;
}

function windowText({ window }: MonitorDocument): string {
  if (window.last) return `over the last ${window.last}`;
  return window.rows ? `over the last ${window.rows} rows` : `since ${instantText(Date.parse(window.since ?? ""))}`;
}

/** The result of a test. */
export function TriedNote({ tried }: { tried: Tried }) {
  return (
    <div class={tried.error ? "monitor-tried error" : "monitor-tried"} role="status">
      {tried.error && <p>{tried.error}</p>}
      {tried.groups?.length === 0 && <p>There are no groups now.</p>}
      {tried.groups?.map(({ group, state, value }) => (
        <p key={group}>
          Now: <StateMark state={state} /> {group && <bdi>{visible(group)}</bdi>} <b>{valueText(value)}</b>
        </p>
      ))}
      {tried.messages?.map(({ target, sent, error }) => (
        <p key={target}>
          Message to <b>{target}</b>: {sent ? "sent" : `not sent: ${error ?? ""}`}
        </p>
      ))}
    </div>
  );
}

function Silences({ silences, writes, onEnd }: { silences: Silence[]; writes: boolean; onEnd(): void }) {
  if (silences.length === 0) return null;
  return (
    <div class="monitor-silences" role="status">
      {silences.map(({ until, reason, by, group }, i) => (
        <p key={i}>
          Silenced until {instantText(Date.parse(until))}
          {by && ` by ${by}`}
          {group && ` for ${visible(group)}`}
          {reason && `: ${visible(reason)}`}
        </p>
      ))}
      {writes && <Button label="End the silence" onClick={onEnd} />}
    </div>
  );
}

function Groups({ state }: { state: StateOfMonitor }) {
  const isLone = state.groups.length <= 1 && !state.groups[0]?.error && !state.groups[0]?.group;
  if (isLone) return null;
  return (
    <section aria-label="Groups">
      <h3>Groups</h3>
      <div class="table-wrap">
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Group</th>
              <th scope="col">State</th>
              <th scope="col">Value</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {state.groups.map(({ group, state: its, value, since, error }) => (
              <tr key={group}>
                <th scope="row">
                  <bdi>{visible(group) || "all rows"}</bdi>
                  {error && <small class="refusal">{error}</small>}
                </th>
                <td>
                  <StateMark state={its} />
                </td>
                <td>
                  <Value value={value} bounds={state.bounds} />
                </td>
                <td>{since ? formatAgo(new Date(since)) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {state.ignored > 0 && <p class="muted">{state.ignored} more groups have no state: there is no room for them.</p>}
    </section>
  );
}

function Transitions({ rows }: { rows: Transition[] }) {
  return (
    <section aria-label="Transitions">
      <h3>Last changes of state</h3>
      {rows.length === 0 ? (
        <p class="muted">None yet.</p>
      ) : (
        <ol class="monitor-transitions">
          {rows.map((row, i) => (
            <li key={i}>
              <time dateTime={row.time}>{instantText(timeOf(row.time))}</time> <span>{nameOf(row.from)} →</span> <StateMark state={row.to} />{" "}
              {row.group && <bdi>{visible(row.group)}</bdi>} <b>{valueText(row.value)}</b>
              {row.to === "error" && row.message && <small>{row.message}</small>}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

const nameOf = (state: string) => STATE_NAMES[state as MonitorState] ?? state;

/** Instants without a zone are in UTC. */
const timeOf = (text: string) => Date.parse(text.endsWith("Z") ? text : `${text}Z`);

interface SilenceProps {
  onDone(silence: { until: string; reason: string }): void;
  onClose(): void;
}

function SilenceDialog({ onDone, onClose }: SilenceProps) {
  const form = useRef<HTMLFormElement>(null);
  return (
    <Dialog title="Silence" onClose={onClose}>
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          const data = new FormData(form.current ?? undefined);
          onDone({ until: new Date(String(data.get("until"))).toISOString(), reason: String(data.get("reason")).trim() });
        }}
      >
        <p class="hint">Changes of state are recorded, but not reported, until then.</p>
        <label class="field">
          <span>Until, your time</span>
          <input type="datetime-local" name="until" required defaultValue={local(Date.now() + HOUR_MS)} />
        </label>
        <label class="field">
          <span>Reason</span>
          <input name="reason" maxLength={200} placeholder="new release" />
        </label>
        <footer>
          <Button label="Cancel" onClick={onClose} />
          <button type="submit" class="button primary">
            Silence it
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
