// The tables and boards that the reader may see.

import { useEffect, useState } from "preact/hooks";
import { api, type ApiError, boardLink, type BoardSummary, panelLink, path, type TableSummary } from "../api";
import { emptyBoard, freeName, nameOf } from "../board/document";
import { monitorsLink } from "../monitors/alert";
import { artifactsLink, runsLink } from "../runs/address";
import type { HomeStart } from "../start";
import { Bar } from "../ui/bar";
import { Button } from "../ui/button";
import { Ask } from "../ui/dialog";
import { HowToLog } from "../ui/how-to-log";
import { Icon } from "../ui/icon";
import { Find } from "../ui/search";
import { Loading, State } from "../ui/state";
import { toastError } from "../ui/toast";
import { formatAgo, formatBytes, formatCount } from "../values";

const ASK_MS = 2_000;

interface Project {
  entity: string;
  project: string;
  tables: TableSummary[];
  boards: BoardSummary[];
}

export function Home({ start }: { start: HomeStart }) {
  const { entity, project } = start;
  const [projects, setProjects] = useState<Project[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [search, setSearch] = useState("");
  const [asksFor, setAsksFor] = useState<Project | null>(null);

  useEffect(() => {
    let boards = new Map<string, BoardSummary[]>();
    let isGone = false;
    const ask = async () => {
      if (document.hidden && boards.size > 0) return;
      try {
        const tables = await api.tables(entity, project);
        const grouped = byProject(tables, start);
        boards = await boardsOf(grouped, boards);
        if (isGone) return;
        setProjects(grouped.map((it) => ({ ...it, boards: boards.get(keyOf(it)) ?? [] })));
        setError(null);
      } catch (error) {
        if (!isGone) setError(error as ApiError);
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), ASK_MS);
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [entity, project]);

  const matching = (projects ?? [])
    .map((it) => ({
      ...it,
      tables: it.tables.filter((table) => contains(table.name, search)),
      boards: it.boards.filter((board) => contains(`${board.title} ${board.name}`, search)),
    }))
    .filter((it) => it.tables.length + it.boards.length > 0 || (project && !search));
  const create = async (project: Project, title: string) => {
    try {
      const name = freeName(nameOf(title), project.boards.map((board) => board.name));
      await api.saveBoard([project.entity, project.project, name], emptyBoard(title), "new");
      location.assign(boardLink(project.entity, project.project, name));
    } catch (error) {
      toastError(error);
    }
  };

  return (
    <div class="page">
      <Bar trail={trail(start)}>
        <Find label="Find tables and boards" onFind={setSearch} />
      </Bar>
      <main class="home">
        {error && !projects && (
          <State title="The tables cannot be listed" isError>
            <p>{error.message}</p>
          </State>
        )}
        {error && projects && <p class="stale">Not up to date: {error.message}</p>}
        {!projects && !error && <Loading what="Loading tables…" />}
        {projects && matching.length === 0 && (search ? <NoMatch search={search} /> : <FirstSteps />)}
        {matching.map((it) => (
          <ProjectView key={keyOf(it)} project={it} hasRuns={start.runs} onNewBoard={start.writes ? () => setAsksFor(it) : null} />
        ))}
      </main>
      {asksFor && (
        <Ask
          title="New board"
          label="Title"
          value="Board"
          action="Make it"
          hint={`It is kept in ${asksFor.entity}/${asksFor.project}.`}
          onDone={(title) => void create(asksFor, title)}
          onClose={() => setAsksFor(null)}
        />
      )}
    </div>
  );
}

function trail({ entity, project }: HomeStart) {
  if (entity && project) {
    return [{ text: entity, href: `/${path(entity)}` }, { text: project }];
  }
  return [{ text: entity ?? "Tables and boards" }];
}

function keyOf({ entity, project }: { entity: string; project: string }): string {
  return `${entity}/${project}`;
}

function contains(text: string, search: string): boolean {
  return text.toLowerCase().includes(search.trim().toLowerCase());
}

function byProject(tables: TableSummary[], start: HomeStart): Project[] {
  const found = new Map<string, Project>();
  // A project may have boards and no table.
  if (start.entity && start.project) {
    const { entity, project } = start;
    found.set(`${entity}/${project}`, { entity, project, tables: [], boards: [] });
  }
  for (const table of tables) {
    const { entity, project } = table;
    const key = keyOf(table);
    const group = found.get(key) ?? { entity, project, tables: [], boards: [] };
    group.tables.push(table);
    found.set(key, group);
  }
  return [...found.values()];
}

/** Loads each project's boards once: they change rarely. */
async function boardsOf(
  projects: Project[],
  known: Map<string, BoardSummary[]>,
): Promise<Map<string, BoardSummary[]>> {
  const missing = projects.filter((it) => !known.has(keyOf(it)));
  const asked = missing.map(async (it) => {
    const boards = await api.boards(it.entity, it.project).catch(() => []);
    known.set(keyOf(it), boards);
  });
  await Promise.all(asked);
  return known;
}

interface ProjectViewProps {
  project: Project;
  /** Whether projects have pages of runs. */
  hasRuns: boolean;
  /** Null if the reader may not make boards. */
  onNewBoard: (() => void) | null;
}

function ProjectView({ project, hasRuns, onNewBoard }: ProjectViewProps) {
  const { entity, project: name, tables, boards } = project;
  return (
    <section>
      <header class="section-head">
        <h2>
          <a href={`/${path(entity, name)}`}>
            <span class="muted">{entity}/</span>
            {name}
          </a>
        </h2>
        <span class="section-tools">
          {hasRuns && <a class="button plain" href={runsLink({ entity, project: name })}>Runs</a>}
          {hasRuns && <a class="button plain" href={artifactsLink({ entity, project: name })}>Artifacts</a>}
          <a class="button plain" href={monitorsLink(entity, name)}>Monitors</a>
          {onNewBoard && <Button icon="add" label="New board" onClick={onNewBoard} />}
        </span>
      </header>
      {boards.length > 0 && (
        <ul class="board-cards">
          {boards.map((board) => (
            <li key={board.name}>
              <a href={boardLink(entity, name, board.name)}>
                <Icon name="board" />
                <span>
                  <b>
                    <bdi>{board.title || board.name}</bdi>
                  </b>
                  <small>
                    changed {formatAgo(new Date(board.updated))}
                    {board.author ? ` by ${board.author}` : ""}
                  </small>
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {tables.length > 0 && (
        <div class="table-wrap">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">Table</th>
                <th scope="col" class="number">
                  Rows
                </th>
                <th scope="col" class="number">
                  Size
                </th>
                <th scope="col">Last row</th>
                <th scope="col" class="wide-only">
                  Made
                </th>
              </tr>
            </thead>
            <tbody>
              {tables.map((table) => (
                <tr key={table.name}>
                  <th scope="row">
                    <a href={panelLink(table.entity, table.project, table.table)}>{table.table}</a>
                  </th>
                  <td class="number">{formatCount(table.rows)}</td>
                  <td class="number">{formatBytes(table.bytes)}</td>
                  <td>
                    <LastWrite at={table.last_write} />
                  </td>
                  <td class="wide-only muted">{new Date(table.created_at).toLocaleDateString()}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {tables.length + boards.length === 0 && <p class="muted">Nothing is here yet.</p>}
    </section>
  );
}

function LastWrite({ at }: { at: string }) {
  const age = Date.now() - Date.parse(at);
  return (
    <time dateTime={at} title={at} class={age < 10_000 ? "fresh" : ""}>
      {formatAgo(new Date(at))}
    </time>
  );
}

function NoMatch({ search }: { search: string }) {
  return (
    <State icon="search" title="Nothing found">
      <p>
        No table or board is called anything like <b>{search}</b>.
      </p>
    </State>
  );
}

function FirstSteps() {
  return (
    <State icon="row" title="No tables yet">
      <p>A table is made by its first row:</p>
      <HowToLog name="project/table" />
    </State>
  );
}
