// A run: its charts, overview, console output, files and artifacts.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, boardLink, panelLink } from "../api";
import { type Place, runLink, type Tab, TABS } from "../runs/address";
import { RunArtifacts } from "../runs/artifact-list";
import { readArtifactsOfRun } from "../runs/artifact";
import { RunCharts } from "../runs/charts";
import { Console } from "../runs/console";
import { Files } from "../runs/files";
import { Overview } from "../runs/overview";
import { type RunDetails, readFiles, readRun } from "../runs/run-details";
import { durationOf, formatDuration, instantOf, isActive, titleOf } from "../runs/run";
import { RunState } from "../runs/state";
import { System } from "../runs/system";
import { usePolled } from "../runs/use-polled";
import type { RunsStart } from "../start";
import { Icon } from "../ui/icon";
import { clipped } from "../ui/names";
import { Loading, State, Unread } from "../ui/state";
import { formatAgo, visible } from "../values";

/** The time between two reads of an active run, and of one that may start again. */
const READ_MS = 3_000;
const REST_MS = 20_000;

interface RunPageProps {
  start: RunsStart;
  place: Place;
  run: string;
  tab: Tab;
  /** The file whose preview is open. */
  file: string | null;
}

export function RunPage({ start, place, run: name, tab, file }: RunPageProps) {
  const { value, error } = usePolled(
    () => readRun(place, name).then((run) => ({ run })),
    (read) => (read?.run && isActive(read.run) ? READ_MS : REST_MS),
    [place.entity, place.project, name],
  );
  if (!value) return <Unread error={error} title="The run cannot be read" what="Loading the run…" />;
  if (!value.run) {
    return (
      <State title="No such run">
        <p>
          There is no run <b>{clipped(name)}</b> in {place.entity}/{place.project}.
        </p>
      </State>
    );
  }
  return <Shown start={start} place={place} run={value.run} tab={tab} file={file} failure={error?.message ?? ""} />;
}

interface ShownProps {
  start: RunsStart;
  place: Place;
  run: RunDetails;
  tab: Tab;
  file: string | null;
  failure: string;
}

function Shown({ start, place, run, tab, file, failure }: ShownProps) {
  const title = titleOf(run);
  useEffect(() => {
    document.title = `${title} – ${place.entity}/${place.project} – StreamTable`;
  }, [title]);
  return (
    <main class="runs-main">
      <header class="run-head">
        <h2 title={visible(title)}>
          <bdi>{visible(title)}</bdi>
        </h2>
        <p class="run-line">
          <RunState state={run.state} />
          <span>
            {isActive(run) ? "for" : "after"} {formatDuration(durationOf(run))}
          </span>
          <span>started {formatAgo(new Date(instantOf(run.createdAt)))}</span>
          {run.user && (
            <span>
              by <bdi>{visible(run.user.name)}</bdi>
            </span>
          )}
          {run.tags.map((tag) => (
            <span key={tag} class="tag">
              <bdi>{clipped(tag)}</bdi>
            </span>
          ))}
          {failure && <span class="stale">Not up to date: {failure}</span>}
        </p>
        <p class="run-links">
          <a href={panelLink(place.entity, place.project, run.tableName)}>
            <Icon name="row" /> Table
          </a>
          <Boards start={start} table={run.tableName} />
        </p>
      </header>
      <nav class="run-tabs" aria-label="Parts of the run">
        {TABS.map(([id, label]) => (
          <a key={id} href={runLink(place, run.name, id)} aria-current={id === tab ? "page" : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <TabContent place={place} run={run} tab={tab} file={file} />
    </main>
  );
}

function TabContent({ place, run, tab, file }: { place: Place; run: RunDetails; tab: Tab; file: string | null }) {
  switch (tab) {
    case "charts":
      return <RunCharts place={place} runs={[{ name: run.name, table: run.tableName, title: titleOf(run), state: run.state }]} />;
    case "overview":
      return <Overview place={place} run={run} />;
    case "logs":
      return <Console place={place} run={run.name} isActive={isActive(run)} />;
    case "files":
      return <RunFiles place={place} run={run} first={file} />;
    case "artifacts":
      return <ArtifactsOfRun place={place} run={run} />;
    case "system":
      return <System place={place} run={run.name} isActive={isActive(run)} />;
  }
}

function RunFiles({ place, run, first }: { place: Place; run: RunDetails; first: string | null }) {
  const { value, error } = usePolled(
    () => readFiles(place, run.name),
    () => (isActive(run) ? READ_MS * 2 : null),
    [place.entity, place.project, run.name, run.state],
  );
  const known = useRef(value);
  known.current = value ?? known.current;
  if (error && !known.current) return <p class="stale">The files cannot be listed: {error.message}</p>;
  if (!known.current) return <Loading what="Loading the files…" />;
  if (known.current.files.length === 0) {
    return (
      <State icon="row" title="No files">
        <p>This run has uploaded no files{isActive(run) ? " yet" : ""}.</p>
      </State>
    );
  }
  return <Files files={known.current.files} total={known.current.total} first={first} />;
}

function ArtifactsOfRun({ place, run }: { place: Place; run: RunDetails }) {
  const { value, error } = usePolled(
    () => readArtifactsOfRun(place, run.name),
    () => (isActive(run) ? READ_MS * 2 : null),
    [place.entity, place.project, run.name, run.state],
  );
  const known = useRef(value);
  known.current = value ?? known.current;
  if (error && !known.current) return <p class="stale">The artifacts cannot be listed: {error.message}</p>;
  if (!known.current) return <Loading what="Loading the artifacts…" />;
  return <RunArtifacts place={place} {...known.current} />;
}

/** The most boards of a project that are searched for a run's table. */
const MOST_BOARDS = 30;

/** Links to the boards that show the run's table. */
function Boards({ start, table }: { start: RunsStart; table: string }) {
  const { entity, project } = start;
  const [boards, setBoards] = useState<{ name: string; title: string }[]>([]);
  useEffect(() => {
    let isGone = false;
    const full = `${entity}/${project}/${table}`;
    const load = async () => {
      const all = (await api.boards(entity, project)).slice(0, MOST_BOARDS);
      const read = all.map(async ({ name, title }) => {
        const { document } = await api.board(entity, project, name);
        return document.panels?.some((panel) => panel.table === full) ? [{ name, title }] : [];
      });
      const found = (await Promise.all(read)).flat();
      if (!isGone) setBoards(found);
    };
    // Boards are no part of the run: the page is of use without them.
    load().catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [entity, project, table]);
  return (
    <>
      {boards.map(({ name, title }) => (
        <a key={name} href={boardLink(entity, project, name)}>
          <Icon name="board" /> <bdi>{clipped(title || name)}</bdi>
        </a>
      ))}
      {start.writes && boards.length === 0 && (
        <a href={`${panelLink(entity, project, table)}#board=overview`}>
          <Icon name="add" /> New board
        </a>
      )}
    </>
  );
}
