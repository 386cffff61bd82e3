// A filter of a view: its text and the dialog that makes it.

import { useRef, useState } from "preact/hooks";
import type { Filter } from "../live/perspective";
import { type Shape, type Shapes, visible } from "../values";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { NameOptions } from "./names";

/** The operators, as they are written in chips. */
const WORDS: Record<string, string> = {
  "==": "=",
  "!=": "≠",
  ">=": "≥",
  "<=": "≤",
  "is null": "is empty",
  "is not null": "is not empty",
};

const TEXT_OPERATORS = [
  ...["contains", "not contains", "==", "!=", "begins with", "ends with", "in", "not in"],
  ...["is null", "is not null"],
];
const ORDER_OPERATORS = ["==", "!=", ">", ">=", "<", "<=", "in", "not in", "is null", "is not null"];
const BOOL_OPERATORS = ["==", "!=", "is null", "is not null"];

function word(operator: string): string {
  return WORDS[operator] ?? operator;
}

export function filterText([column, operator, value]: Filter, shapes: Shapes): string {
  if (operator === "is null" || operator === "is not null") return `${visible(column)} ${word(operator)}`;
  return `${visible(column)} ${word(operator)} ${valueText(value, shapes.get(column)?.isTime === true)}`;
}

function valueText(value: unknown, isTime: boolean): string {
  if (Array.isArray(value)) return value.map((it) => valueText(it, isTime)).join(", ");
  if (value === null || value === undefined) return "…";
  return isTime && typeof value === "number" ? new Date(value).toLocaleString(undefined, { hour12: false }) : visible(String(value));
}

/** Operators for columns that are computed, of whatever kind. */
const ALL_OPERATORS = [...new Set([...TEXT_OPERATORS, ...ORDER_OPERATORS])];

/** Returns the operators that fit a column. */
function operatorsOf(shape: Shape | undefined): string[] {
  if (!shape) return ALL_OPERATORS;
  if (shape.isBool) return BOOL_OPERATORS;
  const isOrdered = shape.isInteger || shape.isFloat || shape.isTime;
  return isOrdered ? ORDER_OPERATORS : TEXT_OPERATORS;
}

interface FilterDialogProps {
  names: string[];
  shapes: Shapes;
  /** The filter to change; null for a new one. */
  filter: Filter | null;
  onDone(filter: Filter): void;
  onClose(): void;
}

export function FilterDialog({ names, shapes, filter, onDone, onClose }: FilterDialogProps) {
  const [column, setColumn] = useState(filter?.[0] ?? names[0] ?? "");
  const operators = operatorsOf(shapes.get(column));
  const [chosen, setOperator] = useState(filter?.[1] ?? "");
  const operator = operators.includes(chosen) ? chosen : (operators[0] as string);
  const input = useRef<HTMLInputElement | HTMLSelectElement>(null);
  const hasValue = !operator.endsWith("null");
  const isBool = shapes.get(column)?.isBool === true;
  const done = () => {
    const text = input.current?.value ?? "";
    if (!hasValue) return onDone([column, operator]);
    if (isBool) return onDone([column, operator, text === "true"]);
    const value = operator.endsWith("in") ? text.split(",").map((it) => it.trim()) : text;
    onDone([column, operator, value]);
  };
  const before = filter?.[2];
  return (
    <Dialog title="Filter" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          done();
        }}
      >
        <label class="field">
          <span>Column</span>
          <select
            value={column}
            autofocus={filter === null}
            onChange={(event) => setColumn(event.currentTarget.value)}
          >
            <NameOptions names={names} />
          </select>
        </label>
        <label class="field">
          <span>Condition</span>
          <select value={operator} onChange={(event) => setOperator(event.currentTarget.value)}>
            {operators.map((it) => (
              <option key={it} value={it}>
                {word(it)}
              </option>
            ))}
          </select>
        </label>
        {hasValue && (
          <label class="field">
            <span>{operator.endsWith("in") ? "Values, with commas between them" : "Value"}</span>
            {isBool ? (
              <select ref={input as preact.RefObject<HTMLSelectElement>}>
                <option>true</option>
                <option>false</option>
              </select>
            ) : (
              <input
                ref={input as preact.RefObject<HTMLInputElement>}
                defaultValue={before === undefined || before === null ? "" : String(before)}
                autofocus={filter !== null}
                required
              />
            )}
          </label>
        )}
        <footer>
          <Button label="Cancel" onClick={onClose} />
          <button type="submit" class="button primary">
            {filter ? "Change the filter" : "Add the filter"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
