// Some runs side by side: a chart per metric, and what differs in their configurations and results.

import { useMemo, useState } from "preact/hooks";
import { type Place, runLink, runsLink } from "../runs/address";
import { MOST_COMPARED, RunCharts } from "../runs/charts";
import { cellText, isActive, type Line, lineOf, titleOf } from "../runs/run";
import { readNamed } from "../runs/runs-reader";
import { RunState } from "../runs/state";
import { usePolled } from "../runs/use-polled";
import { clipped } from "../ui/names";
import { State, Unread } from "../ui/state";
import { visible } from "../values";
import { LONGEST_CELL, LONGEST_TITLE } from "./runs";

/** The time between two reads of active runs. */
const READ_MS = 3_000;

export function ComparePage({ place, runs }: { place: Place; runs: string[] }) {
  const names = [...new Set(runs)].slice(0, MOST_COMPARED);
  const { value, error } = usePolled(
    () => readNamed(place, names),
    (runs) => (runs?.some(isActive) ? READ_MS : null),
    [place.entity, place.project, names.join("\n")],
  );
  if (!value) return <Unread error={error} title="The runs cannot be read" what="Loading the runs…" />;
  if (value.length === 0) {
    return (
      <State title="No such runs">
        <p>
          None of these runs is in {place.entity}/{place.project}. <a href={runsLink(place)}>All runs</a>
        </p>
      </State>
    );
  }
  const titles = distinctTitles(value);
  return (
    <main class="runs-main">
      <ul class="compared" aria-label="The compared runs">
        {value.map((run, i) => (
          <li key={run.name}>
            <i class={i >= 8 ? "dashed" : ""} style={{ background: `var(--series-${(i % 8) + 1})` }} />
            <a href={runLink(place, run.name)} title={visible(titleOf(run))}>
              <bdi>{clipped(titles[i] ?? "")}</bdi>
            </a>
            <RunState state={run.state} />
            {value.length > 1 && (
              <a
                class="remove"
                href={runsLink(place, value.map(({ name }) => name).filter((name) => name !== run.name))}
                aria-label={`Leave out ${visible(titles[i] ?? "")}`}
                title="Leave out"
              >
                ×
              </a>
            )}
          </li>
        ))}
      </ul>
      <Differences lines={value.map(lineOf)} titles={titles} />
      <RunCharts
        place={place}
        runs={value.map(({ name, tableName, state }, i) => ({ name, table: tableName, title: titles[i] ?? "", state }))}
      />
    </main>
  );
}

/** Returns the titles of runs; those that several runs have are followed by the run's id. */
function distinctTitles(runs: { name: string; displayName: string | null }[]): string[] {
  const all = runs.map(titleOf);
  return all.map((title, i) => (all.filter((it) => it === title).length > 1 ? `${title} (${runs[i]?.name})` : title));
}

/** The most rows of the table of differences. */
const MOST_ROWS = 500;

function Differences({ lines, titles }: { lines: Line[]; titles: string[] }) {
  const [showsAll, setShowsAll] = useState(false);
  const ids = useMemo(() => [...new Set(lines.flatMap(({ cells }) => [...cells.keys()]))], [lines]);
  const isEqual = (id: string) => lines.every(({ cells }) => cells.get(id) === lines[0]?.cells.get(id));
  const of = (part: string) => ids.filter((id) => id.startsWith(`${part}.`) && !id.startsWith("summary._"));
  const wanted = (part: string) => of(part).filter((id) => showsAll || !isEqual(id)).slice(0, MOST_ROWS);
  const [config, summary] = [wanted("config"), wanted("summary")];
  return (
    <section class="differences" aria-labelledby="differences">
      <header class="section-head">
        <h2 id="differences">Configuration and results</h2>
        <label>
          <input type="checkbox" checked={showsAll} onChange={() => setShowsAll(!showsAll)} /> Equal values, too
        </label>
      </header>
      {config.length + summary.length === 0 ? (
        <p class="muted">{lines.length > 1 ? "These runs have the same configuration and results." : "One run has no differences."}</p>
      ) : (
        <div class="runs-scroll" tabIndex={0} role="region" aria-label="Table of differences">
          <table class="runs">
            <thead>
              <tr>
                <td />
                {titles.map((title, i) => (
                  <th key={i} scope="col">
                    <i class="swatch" style={{ background: `var(--series-${(i % 8) + 1})` }} />
                    <bdi>{clipped(title)}</bdi>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {[...config, ...summary].map((id) => (
                <Row key={id} id={id} lines={lines} isEqual={isEqual(id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Row({ id, lines, isEqual }: { id: string; lines: Line[]; isEqual: boolean }) {
  const [part, name] = [id.slice(0, id.indexOf(".")), id.slice(id.indexOf(".") + 1)];
  return (
    <tr class={isEqual ? "equal" : ""}>
      <th scope="row" title={visible(name)}>
        <small>{part}</small> <bdi>{clipped(name)}</bdi>
      </th>
      {lines.map((line) => {
        const text = visible(cellText(line, id).slice(0, LONGEST_TITLE));
        return (
          <td key={line.run.name} title={text}>
            {text === "" ? <span class="muted">–</span> : <bdi>{text.slice(0, LONGEST_CELL)}</bdi>}
          </td>
        );
      })}
    </tr>
  );
}
