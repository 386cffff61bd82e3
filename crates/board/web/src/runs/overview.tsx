// The overview of a run: its times, origin, notes, configuration and summary.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatCount, visible } from "../values";
import { fileLink, type Place } from "./address";
import { FieldsView } from "./fields-view";
import { configOf, type Field, membersOf, summaryOf } from "./json-text";
import { durationOf, formatDuration, instantOf, isActive } from "./run";
import { readFiles, type RunDetails } from "./run-details";
import { RunState } from "./state";

/** The file in which clients describe the machine and the program. */
const METADATA = "wandb-metadata.json";

export function Overview({ place, run }: { place: Place; run: RunDetails }) {
  const metadata = useMetadata(place, run.name);
  const table = `${place.entity}/${place.project}/${run.tableName}`;
  const repo = run.repo ?? "";
  const facts: [string, ComponentChildren][] = [
    ["State", <RunState state={run.state} />],
    ["Started", <Instant text={run.createdAt} />],
    [isActive(run) ? "Last sign of life" : "Ended", <Instant text={run.heartbeatAt} />],
    ["Duration", formatDuration(durationOf(run))],
    ["Rows", formatCount(Number(run.historyLineCount))],
    ["Run id", <Text text={run.name} />],
    ["User", run.user && <Text text={run.user.name} />],
    ["Group", run.group && <Text text={run.group} />],
    ["Job type", run.jobType && <Text text={run.jobType} />],
    ["Host", run.host && <Text text={run.host} />],
    ["Command", run.program && <Text text={commandOf(run.program, metadata)} />],
    ["Git repository", repo && (/^https:\/\/\S+$/.test(repo) ? <a href={repo} target="_blank" rel="noopener noreferrer">{visible(repo)}</a> : <Text text={repo} />)],
    ["Git commit", run.commit && <Text text={run.commit} />],
    ["Sweep", run.sweepName && <Text text={run.sweepName} />],
    ["Description", run.description && <Text text={run.description} />],
  ];
  return (
    <div class="run-overview">
      <section aria-labelledby="about">
        <h2 id="about">About</h2>
        <dl class="run-facts">
          {facts.filter(([, value]) => value).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {run.notes && (
          <>
            <h2>Notes</h2>
            <p class="notes">{run.notes}</p>
          </>
        )}
      </section>
      <FieldsView title="Config" fields={configOf(run.config)} table={table} isActive={isActive(run)} />
      <FieldsView title="Summary" fields={summaryOf(run.summaryMetrics)} table={table} isActive={isActive(run)} />
      {metadata.length > 0 && <FieldsView title="Environment" fields={metadata} table={table} isActive={false} />}
    </div>
  );
}

function Text({ text }: { text: string }) {
  return <bdi>{visible(text)}</bdi>;
}

function Instant({ text }: { text: string }) {
  const at = new Date(instantOf(text));
  return <time dateTime={at.toISOString()}>{at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false })}</time>;
}

/** Adds the arguments of the command line, as far as they are known. */
function commandOf(program: string, metadata: Field[]): string {
  const json = metadata.find(({ name }) => name === "args")?.json ?? "[]";
  const args: unknown = JSON.parse(json);
  return Array.isArray(args) ? [program, ...args.map(String)].join(" ") : program;
}

/** Returns the machine's metadata that the client uploaded; empty until it is loaded. */
function useMetadata(place: Place, run: string): Field[] {
  const [fields, setFields] = useState<Field[]>([]);
  useEffect(() => {
    let isGone = false;
    const load = async () => {
      // Asking for a file that is not there would be an error in the browser's console.
      const { files } = await readFiles(place, run);
      if (!files.some(({ path }) => path === METADATA)) return;
      const answer = await fetch(fileLink(place, run, METADATA), { credentials: "same-origin" });
      const text = answer.ok ? await answer.text() : "{}";
      if (!isGone) setFields(membersOf(text));
    };
    load().catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [place.entity, place.project, run]);
  return fields;
}
