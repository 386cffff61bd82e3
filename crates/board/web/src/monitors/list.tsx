// The monitors of a project, and the start of a new one.

import { useEffect, useState } from "preact/hooks";
import { api, type TableSummary } from "../api";
import { shapesOfTable } from "../board/shapes";
import { usePolled } from "../runs/use-polled";
import { Icon } from "../ui/icon";
import { clipped } from "../ui/names";
import { State, Unread } from "../ui/state";
import { toastError } from "../ui/toast";
import { formatAgo, plural, type Shapes, visible } from "../values";
import { monitorsLink } from "./alert";
import { monitors, type MonitorSummary, type Place } from "./api";
import { type MonitorDocument, newMonitor, STATES } from "./document";
import { StateMark, Value } from "./state";
import { templatesFor } from "./templates";

/** The pause between two reads of the states. */
const PAUSE_MS = 2_000;

interface ListProps {
  place: Place;
  writes: boolean;
  onNew(): void;
}

export function MonitorList({ place, writes, onNew }: ListProps) {
  const { value, error } = usePolled(() => monitors.list(place), () => PAUSE_MS, [place.entity, place.project]);
  if (!value) return <Unread error={error} title="The monitors cannot be listed" what="Loading the monitors…" />;
  const rank = ({ state }: MonitorSummary) => (state ? STATES.indexOf(state) : STATES.length);
  const sorted = [...value].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  return (
    <main class="monitors">
      <header class="section-head">
        <h2>{plural(value.length, "monitor")}</h2>
        {writes && (
          <button type="button" class="button primary" onClick={onNew}>
            <Icon name="add" />
            <span>New monitor</span>
          </button>
        )}
      </header>
      {error && <p class="stale">Not up to date: {error.message}</p>}
      {sorted.length === 0 ? (
        <State icon="bell" title="No monitors yet">
          <p>A monitor watches a table, and reports when a figure is beyond a threshold, when rows stop, or when a distribution drifts.</p>
        </State>
      ) : (
        <div class="table-wrap">
          <table class="list monitor-list">
            <thead>
              <tr>
                <th scope="col">Monitor</th>
                <th scope="col">State</th>
                <th scope="col">Value</th>
                <th scope="col" class="wide-only">
                  Since
                </th>
                <th scope="col" class="wide-only">
                  Severity
                </th>
              </tr>
            </thead>
            <tbody>
              {sorted.map((it) => (
                <MonitorRow key={it.name} place={place} monitor={it} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </main>
  );
}

function MonitorRow({ place, monitor }: { place: Place; monitor: MonitorSummary }) {
  const { name, title, table, state, groups = 0, firing = 0 } = monitor;
  return (
    <tr>
      <th scope="row">
        <a href={monitorsLink(place.entity, place.project, name)}>
          <bdi>{visible(title)}</bdi>
        </a>
        {table !== undefined && (
          <small class="muted">
            <bdi>{visible(table.split("/").at(-1) ?? table)}</bdi>
          </small>
        )}
      </th>
      <td>
        <StateMark state={state} />
        {groups > 1 && (
          <small class="muted">
            {firing > 0 ? `${firing} of ` : ""}
            {plural(groups, "group")}
          </small>
        )}
        {monitor.silenced && <small class="muted">silenced</small>}
      </td>
      <td>
        <Value value={monitor.value} bounds={monitor.bounds} />
      </td>
      <td class="wide-only">{monitor.since ? <time dateTime={monitor.since}>{formatAgo(new Date(monitor.since))}</time> : "–"}</td>
      <td class="wide-only">{monitor.severity ?? ""}</td>
    </tr>
  );
}

interface StartProps {
  place: Place;
  /** The table that is already chosen; empty for none. */
  table: string;
  onStart(document: MonitorDocument): void;
}

/** Offers the templates that fit a table. */
export function StartMonitor({ place, table: first, onStart }: StartProps) {
  const [tables, setTables] = useState<TableSummary[] | null>(null);
  const [table, setTable] = useState(first);
  const [shapes, setShapes] = useState<Shapes | null>(null);
  useEffect(() => {
    api.tables(place.entity, place.project).then((found) => {
      const own = found.filter((it) => it.table !== "_monitors");
      setTables(own);
      setTable((table) => table || (own[0]?.name ?? ""));
    }, toastError);
  }, []);
  useEffect(() => {
    setShapes(null);
    if (table) shapesOfTable(table).then(setShapes, toastError);
  }, [table]);
  if (tables?.length === 0) {
    return (
      <State icon="row" title="No tables yet">
        <p>A monitor watches a table of this project.</p>
      </State>
    );
  }
  return (
    <main class="monitors">
      <label class="field">
        <span>Table</span>
        <select value={table} onChange={(event) => setTable(event.currentTarget.value)}>
          {(tables ?? []).map((it) => (
            <option key={it.name} value={it.name}>
              {clipped(it.table)}
            </option>
          ))}
        </select>
      </label>
      <ul class="monitor-templates" aria-label="Templates">
        {shapes &&
          templatesFor(table, shapes).map(({ name, title, about, reason, document }) => (
            <li key={name}>
              <button type="button" disabled={!document} onClick={() => document && onStart(document)}>
                <b>{title}</b>
                <small>{reason ?? about}</small>
              </button>
            </li>
          ))}
        {shapes && (
          <li>
            <button type="button" onClick={() => onStart(newMonitor(table))}>
              <b>Another condition</b>
              <small>change, texts that match, SQL</small>
            </button>
          </li>
        )}
      </ul>
    </main>
  );
}
