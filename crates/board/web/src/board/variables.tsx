// Variables of a board: columns whose value a reader chooses for all panels, such as a model or a region.

import { useEffect, useState } from "preact/hooks";
import { valuesOf } from "../grid/stats";
import type { Connection } from "../live/connection";
import type { Filter } from "../live/perspective";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { clipped, NameChecks } from "../ui/names";
import { formatCount, type Shape, type Shapes, SYSTEM_COLUMNS, visible } from "../values";

/** The chosen values by column; a column without one lets all rows through. */
export type Values = Record<string, string>;

/** How many values of a column are offered: the most frequent. */
const MOST_VALUES = 200;

/** The shapes of the tables of a board. */
type Tables = ReadonlyMap<string, Shapes>;

/** Returns the conditions of a table's rows: those on columns that it has. */
export function variableFilters(variables: string[], values: Values, shapes: Shapes | undefined): Filter[] {
  return variables.flatMap((column): Filter[] => {
    const value = values[column];
    const shape = shapes?.get(column);
    if (value === undefined || !shape) return [];
    return [[column, "==", shape.isBool ? value === "true" : value]];
  });
}

/** Returns the columns that can be variables: those whose values are written in a word or a number. */
export function candidates(tables: Tables): string[] {
  const fits = ([name, shape]: [string, Shape]) =>
    !SYSTEM_COLUMNS.has(name) && !shape.isMedia && !shape.isNested && !shape.isFloat && !shape.isTime && !shape.isUnion;
  return [...new Set(inOrder(tables).flatMap(([, shapes]) => [...shapes].filter(fits).map(([name]) => name)))];
}

/** The tables by their names, in whatever order they were read. */
function inOrder(tables: Tables): [string, Shapes][] {
  return [...tables].sort(([a], [b]) => (a < b ? -1 : 1));
}

interface VariableBarProps {
  connection: Connection;
  tables: Tables;
  variables: string[];
  values: Values;
  onChange(values: Values): void;
}

export function VariableBar({ connection, tables, variables, values, onChange }: VariableBarProps) {
  return (
    <div class="variables" role="group" aria-label="Variables">
      {variables.map((column) => (
        <Variable
          key={column}
          connection={connection}
          table={inOrder(tables).find(([, shapes]) => shapes.has(column))?.[0] ?? null}
          column={column}
          value={values[column] ?? null}
          onChoose={(value) => {
            const { [column]: _before, ...others } = values;
            onChange(value === null ? others : { ...others, [column]: value });
          }}
        />
      ))}
    </div>
  );
}

interface VariableProps {
  connection: Connection;
  /** The table from which the values are read; null until it is known. */
  table: string | null;
  column: string;
  value: string | null;
  onChoose(value: string | null): void;
}

/** The value of the list's first item; no value of a column begins so. */
const ALL = "\u0000all";

function Variable({ connection, table, column, value, onChoose }: VariableProps) {
  const [found, setFound] = useState<{ value: string; count: number }[]>([]);
  const load = async () => {
    if (table === null || !connection.client) return;
    setFound(await valuesOf(await connection.client.open_table(table), column, MOST_VALUES));
  };
  // A value may have come since the page was opened: the list is read again when it is used.
  useEffect(() => {
    if (table !== null) return connection.onOpen(() => void load().catch(() => undefined));
  }, [table, column, connection]);
  const options = value === null || found.some((it) => it.value === value) ? found : [{ value, count: 0 }, ...found];
  return (
    <label class="variable">
      <bdi>{visible(column)}</bdi>
      <select
        aria-label={visible(column)}
        value={value ?? ALL}
        class={value === null ? "" : "chosen"}
        onFocus={() => void load().catch(() => undefined)}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          onChoose(chosen === ALL ? null : chosen);
        }}
      >
        <option value={ALL}>all</option>
        {options.map((it) => (
          <option key={it.value} value={it.value}>
            {it.value === "" ? '""' : clipped(it.value)}
            {it.count > 0 ? ` (${formatCount(it.count)})` : ""}
          </option>
        ))}
      </select>
    </label>
  );
}

interface VariablesDialogProps {
  tables: Tables;
  variables: string[];
  onDone(variables: string[]): void;
  onClose(): void;
}

/** Chooses the columns that are variables. */
export function VariablesDialog({ tables, variables, onDone, onClose }: VariablesDialogProps) {
  const [chosen, setChosen] = useState(variables);
  const names = [...new Set([...variables, ...candidates(tables)])];
  return (
    <Dialog
      title="Variables"
      onClose={onClose}
      actions={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button label="Set them" kind="primary" onClick={() => onDone(chosen)} />
        </>
      }
    >
      <p class="hint">Readers choose a value of each variable, and all panels whose table has the column show its rows.</p>
      {names.length === 0 && <p>The board's tables have no column with values to choose from.</p>}
      <NameChecks legend="Columns" names={names} chosen={chosen} onChange={setChosen} />
    </Dialog>
  );
}
