// Lists of names, such as those of columns.

import { visible } from "../values";

/** The longest name that a list shows. */
const LONGEST_NAME = 60;

export function clipped(name: string): string {
  const text = visible(name);
  return text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text;
}

/** The options of a selection of a name. */
export function NameOptions({ names }: { names: string[] }) {
  return (
    <>
      {names.map((name) => (
        <option key={name} value={name}>
          {clipped(name)}
        </option>
      ))}
    </>
  );
}

interface NameChecksProps {
  legend: string;
  names: string[];
  chosen: string[];
  onChange(chosen: string[]): void;
}

/** A list in which any names are chosen. */
export function NameChecks({ legend, names, chosen, onChange }: NameChecksProps) {
  const toggle = (name: string) =>
    onChange(chosen.includes(name) ? chosen.filter((it) => it !== name) : [...chosen, name]);
  return (
    <fieldset class="column-list">
      <legend>{legend}</legend>
      {names.map((name) => (
        <label key={name} title={name}>
          <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
          <bdi>{clipped(name)}</bdi>
        </label>
      ))}
    </fieldset>
  );
}
