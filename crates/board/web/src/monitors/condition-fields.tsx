// The fields of a monitor's condition.

import { quoted } from "../sql-text";
import { NameOptions } from "../ui/names";
import { type Condition, KINDS, ofKind } from "./document";
import { Choice, Field, type Refusal } from "./fields";
import { FIGURES, figureOf } from "./figures";

interface ConditionProps {
  condition: Condition;
  columns: string[];
  refusal: Refusal | null;
  onChange(condition: Condition): void;
}

const METHODS: [string, string][] = [
  ["psi", "population stability index"],
  ["ks", "Kolmogorov–Smirnov (numbers)"],
  ["js", "Jensen–Shannon distance"],
];

const MEASURES: [string, string][] = [
  ["ratio", "as a ratio (0.5: a rise by half)"],
  ["difference", "as a difference"],
];

export function ConditionFields(props: ConditionProps) {
  const { condition, refusal, onChange } = props;
  const set = (changes: Partial<Condition>) => onChange({ ...condition, ...changes });
  const { kind } = condition;
  const isQuery = condition.query !== undefined;
  return (
    <fieldset>
      <legend>What must not happen</legend>
      <Choice label="Condition" name="condition.kind" value={kind} choices={KINDS} refusal={refusal} onChange={(chosen) => onChange(ofKind(condition, chosen))} />
      {(kind === "threshold" || kind === "change") && <FigureFields {...props} set={set} />}
      {kind === "change" && (
        <Choice label="Measured" name="condition.measure" value={condition.measure ?? "ratio"} choices={MEASURES} refusal={refusal} onChange={(measure) => set({ measure })} />
      )}
      {(kind === "drift" || kind === "match") && <ColumnField {...props} set={set} />}
      {kind === "drift" && (
        <Choice label="Distance" name="condition.method" value={condition.method ?? "psi"} choices={METHODS} refusal={refusal} onChange={(method) => set({ method })} />
      )}
      {(kind === "drift" || kind === "change") && <AgainstFields {...props} set={set} />}
      {kind === "match" && (
        <Field label="Regular expression" name="condition.pattern" refusal={refusal}>
          {(input) => <input {...input} class="sql" value={condition.pattern ?? ""} placeholder="(?i)sorry" onInput={(event) => set({ pattern: event.currentTarget.value })} />}
        </Field>
      )}
      {kind === "sql" && (
        <>
          <Choice
            label="SQL"
            name="condition.sql"
            value={isQuery ? "query" : "expression"}
            choices={[
              ["expression", "an expression over the rows of the window"],
              ["query", "a whole query with a column value"],
            ]}
            refusal={refusal}
            onChange={(chosen) => set(chosen === "query" ? { query: condition.expression ?? "", expression: undefined } : { expression: condition.query ?? "", query: undefined })}
          />
          <Field label={isQuery ? "Query" : "Expression"} name={isQuery ? "condition.query" : "condition.expression"} refusal={refusal}>
            {(input) => (
              <textarea
                {...input}
                class="sql"
                rows={4}
                spellcheck={false}
                value={(isQuery ? condition.query : condition.expression) ?? ""}
                placeholder={isQuery ? "select count(*) as value from me.shop.requests" : "max(ms) > 10 * avg(ms)"}
                onInput={(event) => set(isQuery ? { query: event.currentTarget.value } : { expression: event.currentTarget.value })}
              />
            )}
          </Field>
        </>
      )}
      {kind !== "no_rows" && <BoundsFields {...props} set={set} />}
      {kind === "no_rows" && <p class="hint">It fires if no row arrived in the window, which is a time span.</p>}
    </fieldset>
  );
}

type PartProps = ConditionProps & { set(changes: Partial<Condition>): void };

/** A figure of a column by name, or an SQL expression. */
function FigureFields({ condition, columns, refusal, set }: PartProps) {
  const sql = condition.value ?? "";
  const found = figureOf(sql, columns);
  const choose = (name: string, column: string) => {
    const figure = FIGURES.find((it) => it.name === name);
    set({ value: figure ? figure.sql(quoted(column)) : sql });
  };
  const column = found?.column ?? columns[0] ?? "";
  return (
    <>
      <div class="pair">
        <label class="field">
          <span>Figure</span>
          <select value={found?.figure.name ?? "sql"} onChange={(event) => choose(event.currentTarget.value, column)}>
            {FIGURES.map(({ name, label, hasColumn }) => (
              <option key={name} value={name} disabled={hasColumn && columns.length === 0}>
                {label}
              </option>
            ))}
            {!found && <option value="sql">the SQL expression below</option>}
          </select>
        </label>
        {found?.figure.hasColumn && (
          <label class="field">
            <span>Column</span>
            <select value={found.column} onChange={(event) => choose(found.figure.name, event.currentTarget.value)}>
              <NameOptions names={columns} />
            </select>
          </label>
        )}
      </div>
      <Field label="As SQL" name="condition.value" refusal={refusal}>
        {(input) => <input {...input} class="sql" value={sql} spellcheck={false} onInput={(event) => set({ value: event.currentTarget.value })} />}
      </Field>
    </>
  );
}

function ColumnField({ condition, refusal, set }: PartProps) {
  return (
    <Field label="Column (or SQL)" name="condition.column" refusal={refusal}>
      {(input) => <input {...input} class="sql" value={condition.column ?? ""} list="monitor-columns" spellcheck={false} onInput={(event) => set({ column: event.currentTarget.value })} />}
    </Field>
  );
}

interface Reference {
  from: string;
  to: string;
}

/** The rows that a window is compared with: those of the window before, or between two instants. */
function AgainstFields({ condition, refusal, set }: PartProps) {
  const reference = (condition.against as { reference?: Reference } | undefined)?.reference;
  const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 19) + "Z";
  return (
    <>
      <Choice
        label="Against"
        name="condition.against"
        value={reference ? "reference" : "previous"}
        choices={[
          ["previous", "the window before"],
          ["reference", "the rows between two instants"],
        ]}
        refusal={refusal}
        onChange={(chosen) => set({ against: chosen === "previous" ? undefined : { reference: { from: day(7), to: day(0) } } })}
      />
      {reference && (
        <div class="pair">
          {(["from", "to"] as const).map((end) => (
            <label key={end} class="field">
              <span>{end === "from" ? "From (UTC)" : "To (UTC)"}</span>
              <input value={reference[end]} onInput={(event) => set({ against: { reference: { ...reference, [end]: event.currentTarget.value } } })} />
            </label>
          ))}
        </div>
      )}
    </>
  );
}

function BoundsFields({ condition, refusal, set }: PartProps) {
  const side = condition.below === undefined ? "above" : "below";
  const numberOf = (text: string) => (text.trim() === "" ? undefined : Number(text));
  return (
    <div class="pair">
      <label class="field">
        <span>Fires if it is</span>
        <select
          value={side}
          onChange={(event) => {
            const value = condition[side] ?? 0;
            set({ above: undefined, below: undefined, recover: undefined, [event.currentTarget.value]: value });
          }}
        >
          <option value="above">above</option>
          <option value="below">below</option>
        </select>
      </label>
      <Field label="Threshold" name={`condition.${side}`} refusal={refusal}>
        {(input) => <input {...input} type="number" step="any" value={condition[side] ?? ""} onInput={(event) => set({ [side]: numberOf(event.currentTarget.value) })} />}
      </Field>
      <Field label="Recovers at (optional)" name="condition.recover" refusal={refusal}>
        {(input) => <input {...input} type="number" step="any" value={condition.recover ?? ""} onInput={(event) => set({ recover: numberOf(event.currentTarget.value) })} />}
      </Field>
    </div>
  );
}
