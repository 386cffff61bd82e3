// The fields of a form that show the server's refusal of their value.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

/** A refusal of the server, and the field that it is about. */
export interface Refusal {
  field: string | null;
  reason: string;
}

/** What an input needs to show the refusal of its field. */
interface InputProps {
  name: string;
  "aria-invalid": "true" | undefined;
  "aria-describedby": string | undefined;
}

interface FieldProps {
  label: string;
  /** The field's path in the document. */
  name: string;
  refusal: Refusal | null;
  children(props: InputProps): ComponentChildren;
}

/** A labelled input, with the server's refusal of its value. */
export function Field({ label, name, refusal, children }: FieldProps) {
  const id = useId();
  const isRefused = refusal?.field === name;
  return (
    <label class="field">
      <span>{label}</span>
      {children({ name, "aria-invalid": isRefused ? "true" : undefined, "aria-describedby": isRefused ? id : undefined })}
      {isRefused && (
        <small id={id} class="refusal" role="alert">
          {refusal.reason}
        </small>
      )}
    </label>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  value: string;
  choices: [T, string][];
  refusal: Refusal | null;
  onChange(value: T): void;
}

/** A choice of one of a few values, each with its text. */
export function Choice<T extends string>({ label, name, value, choices, refusal, onChange }: ChoiceProps<T>) {
  return (
    <Field label={label} name={name} refusal={refusal}>
      {(input) => (
        <select {...input} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
          {choices.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
