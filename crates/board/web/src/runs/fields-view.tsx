import { useState } from "preact/hooks";
import { Value } from "../ui/value";
import { plural, visible } from "../values";
import { type Field, flattened } from "./json-text";

/** The most fields that are shown. */
const MOST_SHOWN = 500;

interface FieldsViewProps {
  title: string;
  fields: Field[];
  /** The full name of the run's table, from which files of values are loaded. */
  table: string;
  isActive: boolean;
}

/** Fields with their values, as trees; a search shows the nested fields that match it. */
export function FieldsView({ title, fields, table, isActive }: FieldsViewProps) {
  const [search, setSearch] = useState("");
  const text = search.trim().toLowerCase();
  const matching = text ? flattened(fields).filter(({ name, json }) => `${name} ${json}`.toLowerCase().includes(text)) : fields;
  const id = `fields-${title.toLowerCase()}`;
  return (
    <section class="run-fields" aria-labelledby={id}>
      <header class="section-head">
        <h2 id={id}>{title}</h2>
        {fields.length > 0 && (
          <input
            type="search"
            aria-label={`Find in ${title.toLowerCase()}`}
            placeholder="Find"
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        )}
      </header>
      {fields.length === 0 && <p class="muted">{isActive ? "Nothing yet." : "Nothing was recorded."}</p>}
      {fields.length > 0 && matching.length === 0 && <p class="muted">Nothing matches.</p>}
      <dl class="run-facts">
        {matching.slice(0, MOST_SHOWN).map(({ name, json }) => (
          <div key={name}>
            <dt>
              <bdi>{visible(name)}</bdi>
            </dt>
            <dd>
              <Value text={json} table={table} />
            </dd>
          </div>
        ))}
      </dl>
      {matching.length > MOST_SHOWN && <p class="muted">and {plural(matching.length - MOST_SHOWN, "more field")}</p>}
    </section>
  );
}
