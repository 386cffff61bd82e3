// A panel with the result of a query.

import { useMemo, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { ChartView } from "../chart/chart-view";
import { useSeen } from "../chart/use-seen";
import { usePolled } from "../runs/use-polled";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { shortWithUnit, unitOf } from "../unit";
import { plural, visible } from "../values";
import type { PanelBodyProps } from "./panels";
import { cellText, chartOf, filled, isNumber, type Query, type Result, resultOf, type Show, SHOWS } from "./sql";

/** The pause between two runs of a query that is on the screen. */
const PAUSE_MS = 5_000;

/** How many rows of a result are shown. */
const MOST_ROWS = 1_000;

export function SqlPanel({ panel, connection, home, range, variables, onNote }: PanelBodyProps) {
  const { sql = "", show = "table" } = panel.config;
  const root = useRef<HTMLDivElement>(null);
  const isSeen = useSeen(root);
  const key = JSON.stringify([sql, range, variables]);
  const last = useRef<{ key: string; result: Result } | null>(null);
  const load = async () => {
    const known = last.current?.key === key ? last.current.result : null;
    if (known && (!isSeen || connection.isPaused)) return known;
    if (!isSeen) return null;
    const { lines, isCut } = await api.queryLines(filled(sql, range, variables, Date.now()), home, MOST_ROWS);
    onNote(isCut ? `the first ${plural(MOST_ROWS, "row")}` : "");
    last.current = { key, result: resultOf(lines) };
    return last.current.result;
  };
  const { value, error } = usePolled(load, () => (isSeen ? PAUSE_MS : null), [key, isSeen]);
  const result = value ?? (last.current?.key === key ? last.current.result : null);
  return (
    <div class="sql-panel" ref={root}>
      {error && (
        <p class="panel-note error" role="alert">
          {error.message}
        </p>
      )}
      {!error && result && (result.rows.length === 0 ? <p class="panel-note">The query has no rows.</p> : <Shown result={result} show={show} title={panel.title} />)}
    </div>
  );
}

function Shown({ result, show, title }: { result: Result; show: Show; title: string }) {
  if (show === "number") return <Figures result={result} />;
  return show === "table" ? <ResultTable result={result} title={title} /> : <ResultChart result={result} show={show} title={title} />;
}

function Figures({ result: { columns, rows } }: { result: Result }) {
  return (
    <div class="stats">
      {columns.map((column, i) => {
        const cell = rows[0]?.[i] ?? "null";
        return (
          <div key={column} class="stat">
            <output title={cell}>{cell === "null" ? "–" : isNumber(cell) ? shortWithUnit(Number(cell), unitOf(column)) : cellText(cell)}</output>
            {columns.length > 1 && <small>{visible(column)}</small>}
          </div>
        );
      })}
    </div>
  );
}

function ResultTable({ result: { columns, rows }, title }: { result: Result; title: string }) {
  return (
    <div class="sql-table" tabIndex={0} role="region" aria-label={`Rows of ${title}`}>
      <table>
        <thead>
          <tr>
            {columns.map((name, at) => (
              <th key={name} scope="col" class={isNumber(rows[0]?.[at] ?? "") ? "number" : ""}>
                <bdi>{visible(name)}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((cell, at) => (
                <td key={at} class={isNumber(cell) ? "number" : ""} title={cell.length > 40 ? cellText(cell) : undefined}>
                  {cell === "null" ? <span class="null">null</span> : <bdi>{cellText(cell)}</bdi>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ResultChart({ result, show, title }: { result: Result; show: Show; title: string }) {
  const chart = useMemo(() => chartOf(result), [JSON.stringify(result)]);
  if (typeof chart === "string") return <p class="panel-note">{chart}</p>;
  const config = { columns: chart.data.series.map(({ column }) => column), group_by: [chart.column] };
  return (
    <div class="live-chart">
      <ChartView
        title={title}
        kind={show === "line" ? "lines" : "bars"}
        config={config}
        data={chart.data}
        groups={chart.groups}
        extent={null}
        connection={null}
        table=""
        media={null}
        rowsOf={() => null}
      />
    </div>
  );
}

interface QueryFieldsProps {
  query: Query;
  onChange(query: Query): void;
}

export function QueryFields({ query, onChange }: QueryFieldsProps) {
  return (
    <>
      <label class="field">
        <span>SQL</span>
        <textarea
          class="sql"
          rows={10}
          value={query.sql}
          spellcheck={false}
          placeholder="select status, count(*) as n from requests group by status"
          onInput={(event) => onChange({ ...query, sql: event.currentTarget.value })}
        />
      </label>
      <p class="hint">
        Tables of this project by their names, others as project.table or entity.project.table. <code>$from</code> and <code>$to</code> are the ends of the
        board's range; <code>$column</code> is the chosen value of a variable.
      </p>
      <label class="field">
        <span>Show as</span>
        <select value={query.show} onChange={(event) => onChange({ ...query, show: event.currentTarget.value as Show })}>
          {SHOWS.map(([show, label]) => (
            <option key={show} value={show}>
              {label}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}

/** Changes the query of a panel. */
export function QueryDialog({ query, onDone, onClose }: { query: Query; onDone(query: Query): void; onClose(): void }) {
  const [changed, setChanged] = useState(query);
  return (
    <Dialog
      title="Query"
      onClose={onClose}
      actions={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button label="Set it" kind="primary" disabled={changed.sql.trim() === ""} onClick={() => onDone(changed)} />
        </>
      }
    >
      <QueryFields query={changed} onChange={setChanged} />
    </Dialog>
  );
}
