// Adding a panel to a board.

import { useEffect, useState } from "preact/hooks";
import { api, type Column, type TableSummary } from "../api";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { toastError } from "../ui/toast";
import { type Shape, shapesOf } from "../values";
import { QueryFields } from "./sql-panel";
import type { Query } from "./sql";
import { newId, type PanelDocument, type PanelKind } from "./document";

interface AddPanelProps {
  entity: string;
  project: string;
  onAdd(panel: PanelDocument): void;
  onClose(): void;
}

const KINDS: { kind: PanelKind; label: string; about: string }[] = [
  { kind: "grid", label: "Rows", about: "a table, newest rows first" },
  { kind: "chart", label: "Chart", about: "counts or averages by a column" },
  { kind: "images", label: "Pictures", about: "a wall of the newest" },
  { kind: "stat", label: "Number", about: "one figure over all rows" },
  { kind: "drift", label: "Drift", about: "a column now against earlier rows" },
  { kind: "sql", label: "Query", about: "the result of SQL: rows, a chart or figures" },
  { kind: "text", label: "Text", about: "a note in Markdown" },
];

const AGGREGATES = ["count", "avg", "sum", "min", "max", "median", "p95", "p99", "distinct count"];

export function AddPanel({ entity, project, onAdd, onClose }: AddPanelProps) {
  const [kind, setKind] = useState<PanelKind>("grid");
  const [tables, setTables] = useState<TableSummary[]>([]);
  const [table, setTable] = useState("");
  const [columns, setColumns] = useState<Column[]>([]);
  const [column, setColumn] = useState("");
  const [aggregate, setAggregate] = useState("count");
  const [query, setQuery] = useState<Query>({ sql: "", show: "table" });

  useEffect(() => {
    api.tables(entity, project).then((tables) => {
      setTables(tables);
      setTable(tables[0]?.name ?? "");
    }, toastError);
  }, [entity, project]);
  useEffect(() => {
    if (table) api.schema(table).then(setColumns, toastError);
  }, [table]);

  const shapes = shapesOf(columns);
  const fits = (name: string) => fitsKind(kind, shapes.get(name));
  const choices = columns.filter(({ name }) => fits(name));
  const chosen = choices.some(({ name }) => name === column) ? column : (choices[0]?.name ?? "");
  const hasTable = kind !== "text" && kind !== "sql";
  const isReady = (kind === "sql" && query.sql.trim() !== "") || kind === "text" || (hasTable && table !== "" && (kind === "grid" || chosen !== ""));
  const add = () => {
    const config = kind === "sql" ? { ...query } : configOf(kind, chosen, aggregate, columns);
    const title = titleOf(kind, table, chosen, aggregate);
    const isSmall = kind === "stat" || (kind === "sql" && query.show === "number");
    const size = isSmall ? { w: 3, h: 3 } : { w: 6, h: 8 };
    const panel: PanelDocument = { id: newId(), title, kind, config, layout: { x: 0, y: 0, ...size } };
    if (hasTable) panel.table = table;
    onAdd(panel);
  };
  return (
    <Dialog
      title="Add a panel"
      onClose={onClose}
      actions={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button label="Add" kind="primary" disabled={!isReady} onClick={add} />
        </>
      }
    >
      <fieldset class="kinds">
        <legend>What it shows</legend>
        {KINDS.map((it) => (
          <label key={it.kind}>
            <input
              type="radio"
              name="kind"
              checked={kind === it.kind}
              onChange={() => setKind(it.kind)}
            />
            <b>{it.label}</b> <small>{it.about}</small>
          </label>
        ))}
      </fieldset>
      {kind === "sql" && <QueryFields query={query} onChange={setQuery} />}
      {hasTable && (
        <label class="field">
          <span>Table</span>
          <select value={table} onChange={(event) => setTable(event.currentTarget.value)}>
            {tables.map((it) => (
              <option key={it.name}>{it.name}</option>
            ))}
          </select>
        </label>
      )}
      {hasTable && kind !== "grid" && (
        <label class="field">
          <span>Column</span>
          <select value={chosen} onChange={(event) => setColumn(event.currentTarget.value)}>
            {choices.map((it) => (
              <option key={it.name}>{it.name}</option>
            ))}
          </select>
          {choices.length === 0 && <small>No column of this table suits.</small>}
        </label>
      )}
      {kind === "stat" && (
        <label class="field">
          <span>Figure</span>
          <select value={aggregate} onChange={(event) => setAggregate(event.currentTarget.value)}>
            {AGGREGATES.map((it) => (
              <option key={it}>{it}</option>
            ))}
          </select>
        </label>
      )}
    </Dialog>
  );
}

function fitsKind(kind: PanelKind, shape: Shape | undefined): boolean {
  if (kind === "images") return shape?.isMedia === true;
  return shape?.isMedia !== true && shape?.isNested !== true;
}

function configOf(
  kind: PanelKind,
  column: string,
  aggregate: string,
  all: Column[],
): PanelDocument["config"] {
  switch (kind) {
    case "text":
      return { text: "" };
    case "drift":
      return { columns: [column] };
    case "stat":
      return { columns: [column], aggregates: { [column]: aggregate } };
    case "images":
      return { columns: [column, ...all.slice(0, 3).map((it) => it.name).filter((it) => it !== column)] };
    case "chart":
      return {
        plugin: "Y Bar",
        group_by: [column],
        columns: [column],
        aggregates: { [column]: "count" },
      };
    default:
      return { plugin: "Datagrid", sort: [["_pos", "desc"]] };
  }
}

function titleOf(kind: PanelKind, table: string, column: string, aggregate: string): string {
  const name = table.split("/").at(-1) ?? "";
  switch (kind) {
    case "text":
      return "Note";
    case "sql":
      return "Query";
    case "drift":
      return `Drift of ${column}`;
    case "stat":
      return `${aggregate} of ${column}`;
    case "images":
      return `Newest ${column}`;
    case "chart":
      return `${name} by ${column}`;
    default:
      return `Newest rows of ${name}`;
  }
}
