// The console output of a run: its last lines, followed while the run is active.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { Button } from "../ui/button";
import { State, Unread } from "../ui/state";
import { toastError } from "../ui/toast";
import { formatCount, plural, visible } from "../values";
import type { Place } from "./address";
import { consoleLine } from "./console-line";
import { usePolled } from "./use-polled";

/** How many lines are shown. */
const SHOWN = 1_000;

/** How many lines one request of the whole output reads. */
const CHUNK = 50_000;

const READ_MS = 2_000;

interface Lines {
  count: number;
  lines: { number: number; line: string }[];
}

interface ConsoleProps {
  place: Place;
  run: string;
  isActive: boolean;
}

export function Console({ place, run, isActive }: ConsoleProps) {
  const { value, error } = usePolled(
    () => readLines(place, run, { last: SHOWN }),
    () => (isActive ? READ_MS : null),
    [place.entity, place.project, run, isActive],
  );
  const last = useRef<Lines | null>(null);
  last.current = value ?? last.current;
  const shown = last.current;
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  const [isSaving, setSaving] = useState(false);
  useEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown]);
  const save = async () => {
    setSaving(true);
    await download(place, run).catch(toastError);
    setSaving(false);
  };
  if (!shown) return <Unread error={error} title="The console output cannot be read" what="Loading the console output…" />;
  if (shown.lines.length === 0) {
    return (
      <State icon="row" title="No console output">
        <p>This run has sent no output{isActive ? " yet" : ""}.</p>
      </State>
    );
  }
  return (
    <>
      <div class="runs-tools">
        <Button icon="download" label="Download all lines" disabled={isSaving} onClick={() => void save()} />
        <p class="runs-count">
          {shown.count > shown.lines.length
            ? `the last ${formatCount(shown.lines.length)} of ${plural(shown.count, "line")}`
            : plural(shown.count, "line")}
        </p>
      </div>
      <pre
        class="console"
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Console output"
        onScroll={({ currentTarget: it }) => {
          isAtEnd.current = it.scrollTop + it.clientHeight >= it.scrollHeight - 8;
        }}
      >
        {shown.lines.map(({ number, line }) => (
          <ConsoleLine key={number} line={line} />
        ))}
      </pre>
    </>
  );
}

function ConsoleLine({ line }: { line: string }) {
  const { text, at, isError } = consoleLine(line);
  return (
    <div class={isError ? "error" : ""} title={at ?? undefined}>
      {visible(text) || " "}
    </div>
  );
}

async function readLines({ entity, project }: Place, run: string, part: { last?: number; first?: number; after?: string }): Promise<Lines> {
  const query = `query Console($entity: String, $project: String, $run: String!, $last: Int, $first: Int, $after: String) {
    project(name: $project, entityName: $entity) { run(name: $run) { logLineCount
      logLines(last: $last, first: $first, after: $after) { edges { node { number line } } } } } }`;
  type Run = { logLineCount: number; logLines: { edges: { node: { number: number; line: string } }[] } };
  const answer = await api.graphql<{ project: { run: Run | null } | null }>(query, { entity, project, run, ...part });
  const found = answer.project?.run;
  return { count: Number(found?.logLineCount ?? 0), lines: found?.logLines.edges.map(({ node }) => node) ?? [] };
}

/** Reads all lines, and saves them as a file. */
async function download(place: Place, run: string): Promise<void> {
  const parts: string[] = [];
  let after: string | undefined;
  for (;;) {
    const { lines } = await readLines(place, run, { first: CHUNK, ...(after !== undefined && { after }) });
    for (const { line } of lines) parts.push(`${line.replace(/\n$/, "")}\n`);
    if (lines.length < CHUNK) break;
    after = String(lines.at(-1)?.number);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/plain" }));
  link.download = `${run}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
}
