// The controls of a view: what is shown as what, filtered, sorted and grouped by what.

import { useState } from "preact/hooks";
import { SEARCH, searchedText } from "../grid/search";
import type { Filter, ViewerConfig } from "../live/perspective";
import { formatCount, plural, type Shapes, visible } from "../values";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { FilterDialog, filterText } from "./filter";
import { NameChecks, NameOptions } from "./names";
import { Search } from "./search";

interface ViewBarProps {
  config: ViewerConfig;
  /** The columns that there are, computed ones among them. */
  names: string[];
  shapes: Shapes;
  /** How many rows the view has, and the table; null if that is not known. */
  rows: number | null;
  total: number | null;
  /** Called with the parts of the configuration that change. */
  onChange(changes: ViewerConfig): void;
  /** Called with the chosen grid or chart; by default only that is changed. */
  onPlugin?(plugin: string): void;
  /** Called with the text that rows must contain; without it, there is no search. */
  onSearch?(text: string): void;
}

const PLUGINS = [
  ["Datagrid", "Table"],
  ["Y Bar", "Bars"],
  ["X Bar", "Horizontal bars"],
  ["Y Line", "Lines"],
  ["Y Area", "Areas"],
  ["Y Scatter", "Points"],
  ["X/Y Scatter", "Scatter"],
  ["X/Y Line", "Path"],
  ["Density", "Density"],
  ["Heatmap", "Heatmap"],
  ["Treemap", "Treemap"],
  ["Sunburst", "Sunburst"],
  ["Candlestick", "Candlestick"],
  ["OHLC", "OHLC"],
] as const;

export function ViewBar({ config, names, shapes, rows, total, onChange, onPlugin, onSearch }: ViewBarProps) {
  const [asked, setAsked] = useState<"columns" | { filter: number | null } | null>(null);
  const { filter = [], sort = [], group_by = [] } = config;
  const isGrouped = group_by.length > 0;
  const setFilter = (at: number | null, changed: Filter) =>
    onChange({ filter: at === null ? [...filter, changed] : filter.map((it, i) => (i === at ? changed : it)) });
  const edited = asked !== null && asked !== "columns" ? asked.filter : null;
  return (
    <div class="view-bar" role="toolbar" aria-label="View">
      <select
        aria-label="Show as"
        value={config.plugin ?? "Datagrid"}
        onChange={({ currentTarget: { value } }) => (onPlugin ? onPlugin(value) : onChange({ plugin: value }))}
      >
        {PLUGINS.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
      <Button label="Columns" onClick={() => setAsked("columns")} />
      {onSearch && <Search text={searchedText(config)} onSearch={onSearch} />}
      {filter.map((it, i) => it[0] !== SEARCH && (
        <Chip
          key={JSON.stringify(it)}
          label={filterText(it, shapes)}
          title="Change the filter"
          onClick={() => setAsked({ filter: i })}
          onRemove={() => onChange({ filter: filter.filter((_, at) => at !== i) })}
        />
      ))}
      <Button icon="add" label="Filter" onClick={() => setAsked({ filter: null })} />
      {sort.map(([column, direction]) => (
        <Chip
          key={column}
          label={`${visible(column)} ${direction.includes("desc") ? "↓" : "↑"}`}
          title="Reverse the order"
          onClick={() =>
            onChange({ sort: sort.map((it) => (it[0] === column ? [column, reversed(direction)] : it)) })
          }
          onRemove={() => onChange({ sort: sort.filter((it) => it[0] !== column) })}
        />
      ))}
      <Add
        label="Sort"
        names={names.filter((name) => !sort.some(([column]) => column === name))}
        onAdd={(name) => onChange({ sort: [...sort, [name, "asc"]] })}
      />
      {group_by.map((column) => (
        <Chip
          key={column}
          label={`by ${visible(column)}`}
          onRemove={() => onChange({ group_by: group_by.filter((it) => it !== column) })}
        />
      ))}
      <Add
        label="Group"
        names={names.filter((name) => !group_by.includes(name) && !shapes.get(name)?.isMedia)}
        onAdd={(name) => onChange({ group_by: [...group_by, name] })}
      />
      {rows !== null && total !== null && (
        <span class="view-count" role="status">
          {countText(rows, total, isGrouped, filter.length > 0)}
        </span>
      )}
      {asked === "columns" && (
        <ColumnsDialog
          names={names}
          shown={(config.columns ?? []).filter((name) => name !== null)}
          onDone={(columns) => {
            onChange({ columns });
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked !== null && asked !== "columns" && (
        <FilterDialog
          names={names}
          shapes={shapes}
          filter={edited === null ? null : (filter[edited] ?? null)}
          onDone={(changed) => {
            setFilter(edited, changed);
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}

function countText(rows: number, total: number, isGrouped: boolean, isFiltered: boolean): string {
  if (isGrouped) return plural(rows, "group");
  return isFiltered ? `${formatCount(rows)} of ${plural(total, "row")}` : plural(total, "row");
}

function reversed(direction: string): string {
  return direction.includes("desc") ? direction.replace("desc", "asc") : direction.replace("asc", "desc");
}

interface ChipProps {
  label: string;
  title?: string;
  onClick?(): void;
  onRemove(): void;
}

function Chip({ label, title, onClick, onRemove }: ChipProps) {
  return (
    <span class="chip">
      {onClick ? (
        <button type="button" class="chip-label" title={title} onClick={onClick}>
          <bdi>{label}</bdi>
        </button>
      ) : (
        <bdi>{label}</bdi>
      )}
      <Button icon="close" label={`Remove ${label}`} bare onClick={onRemove} />
    </span>
  );
}

/** A list that adds what is chosen from it. */
function Add({ label, names, onAdd }: { label: string; names: string[]; onAdd(name: string): void }) {
  return (
    <select
      class="add"
      aria-label={`${label} by`}
      value=""
      onChange={(event) => {
        const name = event.currentTarget.value;
        event.currentTarget.value = "";
        if (name) onAdd(name);
      }}
    >
      <option value="">+ {label}</option>
      <NameOptions names={names} />
    </select>
  );
}

interface ColumnsDialogProps {
  names: string[];
  shown: string[];
  onDone(columns: string[]): void;
  onClose(): void;
}

function ColumnsDialog({ names, shown, onDone, onClose }: ColumnsDialogProps) {
  const [chosen, setChosen] = useState(shown);
  const [search, setSearch] = useState("");
  const ordered = [...new Set([...shown, ...names])];
  const found = ordered.filter((name) => name.toLowerCase().includes(search.toLowerCase()));
  return (
    <Dialog
      title="Columns"
      onClose={onClose}
      actions={
        <>
          <Button label="Show all" onClick={() => setChosen(ordered)} />
          <Button label="Cancel" onClick={onClose} />
          <Button
            label="Set them"
            kind="primary"
            disabled={chosen.length === 0}
            onClick={() => onDone(ordered.filter((name) => chosen.includes(name)))}
          />
        </>
      }
    >
      <label class="field">
        <span>Find</span>
        <input type="search" autofocus onInput={(event) => setSearch(event.currentTarget.value)} />
      </label>
      <NameChecks legend="Shown columns" names={found} chosen={chosen} onChange={setChosen} />
    </Dialog>
  );
}
