// A project's runs as a table: one line per run, config and summary as columns.

import { useMemo, useRef, useState } from "preact/hooks";
import { type Place, runLink, runsLink } from "../runs/address";
import {
  cellText,
  durationOf,
  fieldColumns,
  formatDuration,
  found,
  instantOf,
  isActive,
  type Line,
  lineOf,
  type Order,
  OWN_COLUMNS,
  type RunSummary,
  sorted,
  titleOf,
} from "../runs/run";
import { kindOf, numberOf } from "../runs/json-text";
import { RunsReader } from "../runs/runs-reader";
import { putTableState, tableStateInAddress } from "../runs/table-state";
import { RunState } from "../runs/state";
import { usePolled } from "../runs/use-polled";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { clipped, NameChecks } from "../ui/names";
import { Find } from "../ui/search";
import { Loading, State } from "../ui/state";
import { formatAgo, formatCount, plural, visible } from "../values";
import { HowToRun } from "../runs/how-to-run";
import { MOST_COMPARED } from "../runs/charts";

/** The time between two reads of the list. */
const READ_MS = 2_000;

/** How many runs are on one page of the table. */
const PAGE = 100;

/** How many columns of config, and of summary, are shown before columns are chosen. */
const FEW_FIELDS = 15;

/** How many characters of a value a cell, and its title, have at most. */
export const LONGEST_CELL = 200;
export const LONGEST_TITLE = 1_000;

interface RunsPageProps {
  place: Place;
  go(href: string): void;
}

export function RunsPage({ place, go }: RunsPageProps) {
  const reader = useMemo(() => new RunsReader(place), [place.entity, place.project]);
  const { value, error } = usePolled(() => reader.read(), () => READ_MS, [reader]);
  if (error && !value) {
    return (
      <main class="runs-main">
        <State title="The runs cannot be listed" isError>
          <p>{error.message}</p>
        </State>
      </main>
    );
  }
  if (!value) return <Loading what="Loading the runs…" />;
  if (value.runs.length === 0) {
    return (
      <main class="runs-main">
        <State icon="row" title="No runs yet">
          <p>A run appears here as soon as it starts:</p>
          <HowToRun place={place} />
        </State>
      </main>
    );
  }
  return (
    <main class="runs-main">
      {error && <p class="stale">Not up to date: {error.message}</p>}
      <RunsTable place={place} runs={value.runs} total={value.total} go={go} />
    </main>
  );
}

interface RunsTableProps extends RunsPageProps {
  runs: RunSummary[];
  total: number;
}

function RunsTable({ place, runs, total, go }: RunsTableProps) {
  const lines = useLines(runs);
  const [state, setState] = useState(tableStateInAddress);
  const [asks, setAsks] = useState(false);
  const change = (changes: Partial<typeof state>) => {
    const next = { ...state, page: 0, ...changes };
    putTableState(next);
    setState(next);
  };
  const { chosen } = state;
  const setChosen = (chosen: string[]) => change({ chosen, page: state.page });
  const fields = useMemo(() => fieldColumns(lines), [lines]);
  const own = OWN_COLUMNS.filter(([id]) => isUsed(id, lines)).map(([id]) => id);
  const all = [...OWN_COLUMNS.map(([id]) => id), ...fields];
  const isPlain = (id: string) => lines.some(({ cells }) => cells.has(id) && kindOf(cells.get(id) ?? "") === null);
  const first = (part: RegExp) => fields.filter((id) => part.test(id) && isPlain(id)).slice(0, FEW_FIELDS);
  const usual = [...own, ...first(/^config\./), ...first(/^summary\.[^_]/)];
  const columns = state.columns === null ? usual : all.filter((id) => state.columns?.includes(id));
  const matching = useMemo(() => sorted(found(lines, state.search), state.order), [lines, state.search, state.order]);
  const pages = Math.max(1, Math.ceil(matching.length / PAGE));
  const page = Math.min(state.page, pages - 1);
  const shown = matching.slice(page * PAGE, (page + 1) * PAGE);
  const toggle = (run: string) => setChosen(chosen.includes(run) ? chosen.filter((it) => it !== run) : [...chosen, run]);
  const order = (column: string) => change({ order: nextOrder(state.order, column) });
  const isTooMany = chosen.length > MOST_COMPARED;
  return (
    <>
      <div class="runs-tools">
        <Find label="Filter the runs" placeholder="Filter, such as running or lr=0.1" value={state.search} onFind={(text) => change({ search: text })} />
        <Button icon="settings" label="Columns" onClick={() => setAsks(true)} />
        <Button
          label={chosen.length === 0 ? "Compare" : `Compare ${plural(chosen.length, "run")}`}
          kind={chosen.length > 0 && !isTooMany ? "primary" : "plain"}
          disabled={chosen.length === 0 || isTooMany}
          onClick={() => go(runsLink(place, chosen))}
        />
        {chosen.length > 0 && <Button label="Clear the choice" onClick={() => setChosen([])} />}
        {isTooMany && <span class="stale">at most {MOST_COMPARED} runs can be compared</span>}
        <p class="runs-count" role="status">
          {countText(matching.length, runs.length, total)}
        </p>
      </div>
      {shown.length === 0 ? (
        <State icon="search" title="No run matches">
          <p>
            None of {plural(runs.length, "run")} has <b>{state.search}</b> in its name, state, tags, config or summary.
          </p>
          <Button label="Clear the filter" onClick={() => change({ search: "" })} />
        </State>
      ) : (
        <div class="runs-scroll" tabIndex={0} role="region" aria-label="Table of runs">
          <table class="runs">
            <thead>
              <tr>
                <td class="run-check" />
                <Header column="name" title="Name" order={state.order} onOrder={order} />
                {columns.map((id) => (
                  <Header key={id} column={id} title={titleOfColumn(id)} part={partOf(id)} order={state.order} onOrder={order} />
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((line) => (
                <tr key={line.run.name} class={chosen.includes(line.run.name) ? "chosen" : ""}>
                  <td class="run-check">
                    <input
                      type="checkbox"
                      aria-label={`Compare ${titleOf(line.run)}`}
                      checked={chosen.includes(line.run.name)}
                      onChange={() => toggle(line.run.name)}
                    />
                  </td>
                  <th scope="row">
                    <a href={runLink(place, line.run.name)} title={titleOf(line.run)}>
                      <bdi>{visible(titleOf(line.run))}</bdi>
                    </a>
                  </th>
                  {columns.map((id) => (
                    <Cell key={id} line={line} column={id} />
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {pages > 1 && (
        <nav class="runs-pages" aria-label="Pages of the table">
          <Button icon="left" label="Previous page" bare disabled={page === 0} onClick={() => change({ page: page - 1 })} />
          <span>
            {formatCount(page * PAGE + 1)}–{formatCount(page * PAGE + shown.length)} of {formatCount(matching.length)}
          </span>
          <Button icon="right" label="Next page" bare disabled={page === pages - 1} onClick={() => change({ page: page + 1 })} />
        </nav>
      )}
      {asks && (
        <ColumnsDialog
          all={all}
          shown={columns}
          onChange={(columns) => change({ columns, page })}
          onReset={() => change({ columns: null, page })}
          onClose={() => setAsks(false)}
        />
      )}
    </>
  );
}

/** Returns the lines of runs; a run that has not changed keeps its line. */
function useLines(runs: RunSummary[]): Line[] {
  const known = useRef(new Map<string, Line>());
  return useMemo(() => {
    const lines = runs.map((run) => {
      const before = known.current.get(run.name);
      return before && before.run.updatedAt === run.updatedAt ? { run, cells: before.cells } : lineOf(run);
    });
    known.current = new Map(lines.map((line) => [line.run.name, line]));
    return lines;
  }, [runs]);
}

/** Group, job type and tags are shown if a run has them. */
function isUsed(column: string, lines: Line[]): boolean {
  const isOptional = column === "group" || column === "jobType" || column === "tags";
  return !isOptional || lines.some((line) => cellText(line, column) !== "");
}

function nextOrder(order: Order, column: string): Order {
  if (order.column === column) return { column, isDown: !order.isDown };
  return { column, isDown: column === "created" || column === "duration" };
}

function partOf(id: string): string | undefined {
  return /^(config|summary)\./.exec(id)?.[1];
}

function titleOfColumn(id: string): string {
  const part = partOf(id);
  return part ? id.slice(part.length + 1) : (OWN_COLUMNS.find(([own]) => own === id)?.[1] ?? id);
}

function countText(matching: number, read: number, total: number): string {
  const all = total > read ? `the newest ${formatCount(read)} of ${plural(total, "run")}` : plural(read, "run");
  return matching === read ? all : `${formatCount(matching)} of ${all}`;
}

interface HeaderProps {
  column: string;
  title: string;
  part?: string | undefined;
  order: Order;
  onOrder(column: string): void;
}

function Header({ column, title, part, order, onOrder }: HeaderProps) {
  const isOrder = order.column === column;
  const direction = order.isDown ? "descending" : "ascending";
  return (
    <th scope="col" aria-sort={isOrder ? direction : undefined} class={part ?? ""}>
      <button type="button" title={part ? `${part}: ${visible(title)}` : title} onClick={() => onOrder(column)}>
        {part && <small>{part}</small>}
        <span>
          <bdi>{clipped(title)}</bdi>
          {isOrder && <i aria-hidden="true">{order.isDown ? "↓" : "↑"}</i>}
        </span>
      </button>
    </th>
  );
}

function Cell({ line, column }: { line: Line; column: string }) {
  const { run } = line;
  switch (column) {
    case "state":
      return (
        <td>
          <RunState state={run.state} />
        </td>
      );
    case "created": {
      const at = new Date(instantOf(run.createdAt));
      return (
        <td>
          <time dateTime={at.toISOString()} title={at.toLocaleString()}>
            {formatAgo(at)}
          </time>
        </td>
      );
    }
    case "duration":
      return <td class={isActive(run) ? "number fresh" : "number"}>{formatDuration(durationOf(run))}</td>;
    case "tags":
      return (
        <td>
          {run.tags.map((tag) => (
            <span key={tag} class="tag">
              <bdi>{clipped(tag)}</bdi>
            </span>
          ))}
        </td>
      );
    default: {
      const text = visible(cellText(line, column).slice(0, LONGEST_TITLE));
      const isNumber = numberOf(line.cells.get(column)) !== null;
      return (
        <td class={isNumber ? "number" : ""} title={isNumber ? line.cells.get(column) : text}>
          <bdi>{text.slice(0, LONGEST_CELL)}</bdi>
        </td>
      );
    }
  }
}

interface ColumnsDialogProps {
  all: string[];
  shown: string[];
  onChange(columns: string[]): void;
  onReset(): void;
  onClose(): void;
}

function ColumnsDialog({ all, shown, onChange, onReset, onClose }: ColumnsDialogProps) {
  const [search, setSearch] = useState("");
  const matching = all.filter((id) => id.toLowerCase().includes(search.toLowerCase()));
  const hidden = shown.filter((id) => !matching.includes(id));
  return (
    <Dialog
      title="Columns"
      onClose={onClose}
      actions={
        <>
          <Button label="The usual ones" onClick={onReset} />
          <Button label="All" onClick={() => onChange([...new Set([...shown, ...matching])])} />
          <Button label="None" onClick={() => onChange(hidden)} />
          <Button label="Done" kind="primary" onClick={onClose} />
        </>
      }
    >
      <input
        type="search"
        aria-label="Find a column"
        placeholder="Find a column"
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <NameChecks
        legend={`${formatCount(shown.length)} of ${plural(all.length, "column")} are shown`}
        names={matching}
        chosen={shown}
        onChange={(columns) => onChange([...new Set([...hidden, ...columns])])}
      />
    </Dialog>
  );
}
