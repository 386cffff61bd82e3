// A board: panels over one or several tables, laid out, saved, shared.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, boardLink, path } from "../api";
import { BoardPanel } from "../board/frame";
import { type BoardDocument, completed, freeName, nameOf, newId, type PanelDocument } from "../board/document";
import { History } from "../board/history";
import { bottom, place, settle } from "../board/layout";
import { lengthOf, RANGES, rangeFilters, rangeLabel, stepOf } from "../board/range";
import { AddPanel } from "../board/add";
import type { Connection } from "../live/connection";
import type { Filter } from "../live/perspective";
import type { BoardStart } from "../start";
import { setBoardTheme, type Theme } from "../theme";
import { Bar, trailOf } from "../ui/bar";
import { Button } from "../ui/button";
import { ConnectionMark } from "../ui/connection";
import { Ask, Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Menu, type MenuItem } from "../ui/menu";
import { RowDrawer } from "../ui/row";
import { Loading, State } from "../ui/state";
import { toast, toastError } from "../ui/toast";
import { formatAgo } from "../values";

interface BoardProps {
  start: BoardStart & { embed: boolean };
  connection: Connection;
}

/** How often a newer version is looked for. */
const LOOK_MS = 20_000;

const READ_ONLY = "Your key may look at this board, and change nothing on the server.";

/** What a board may say of its colours; a reader's own choice counts more. */
const THEMES: [Theme, string][] = [
  ["auto", "As the reader's system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** The version that somebody else saved. */
interface Theirs {
  author?: string;
  updated?: string;
}

type Asked = "rename" | "save-as" | "delete" | "conflict" | "add" | null;

export function Board({ start, connection }: BoardProps) {
  const { entity, project, board: name } = start;
  const [history, setHistory] = useState<History<BoardDocument> | null>(null);
  const [saved, setSaved] = useState<{ text: string; etag: string } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isEditing, setEditing] = useState(false);
  const [isNewer, setNewer] = useState(false);
  const [asked, setAsked] = useState<Asked>(null);
  const [theirs, setTheirs] = useState<Theirs>({});
  const [picked, setPicked] = useState<{ panel: string; filters: Filter[] } | null>(null);
  const [row, setRow] = useState<{ table: string; position: number } | null>(null);
  const [, redraw] = useState(0);

  const load = useCallback(async () => {
    try {
      const found = await api.board(entity, project, name);
      const { etag } = found;
      const document = completed(found.document);
      const settled = { ...document, panels: settle(document.panels) };
      setHistory(new History(settled));
      setSaved({ text: JSON.stringify(settled), etag });
      setNewer(false);
      setError(null);
      connection.pause(document.refresh === "paused");
    } catch (error) {
      setError(error as ApiError);
    }
  }, [entity, project, name]);
  useEffect(() => void load(), [load]);

  const document = history?.now ?? null;
  const isChanged = document !== null && saved !== null && JSON.stringify(document) !== saved.text;
  // Who may not save has nothing to lose.
  const isDirty = isChanged && start.writes;
  // Who leaves right behind a save is asked nothing: that is before the page is drawn again.
  const isUnsaved = useRef(false);
  isUnsaved.current = isDirty;
  const keep = (now: { text: string; etag: string }) => {
    isUnsaved.current = false;
    setSaved(now);
  };
  useEffect(() => setBoardTheme(document?.theme ?? "auto"), [document?.theme]);

  const change = useCallback(
    (edit: (document: BoardDocument) => BoardDocument) => {
      if (!history) return;
      history.push(edit(history.now));
      redraw((n) => n + 1);
    },
    [history],
  );
  const step = (direction: "undo" | "redo") => {
    history?.[direction]();
    redraw((n) => n + 1);
  };

  const save = async (etag: string | null = saved?.etag ?? null) => {
    if (!document || !start.writes) return;
    try {
      const now = await api.saveBoard([entity, project, name], document, etag);
      keep({ text: JSON.stringify(document), etag: now });
      setNewer(false);
      setAsked(null);
      toast("The board is saved");
    } catch (error) {
      refused(error);
    }
  };
  const refused = (error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 412) return toastError(error);
    setTheirs(error.body as Theirs);
    setAsked("conflict");
  };

  // Newer versions of others are told of, never silently written over; without changes of one's
  // own they are simply shown.
  useEffect(() => {
    if (!saved) return;
    const look = async () => {
      if (globalThis.document.hidden) return;
      const found = await api.board(entity, project, name).catch(() => null);
      if (!found || found.etag === saved.etag) return;
      if (isDirty) setNewer(true);
      else await load();
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    addEventListener("focus", look);
    return () => {
      clearInterval(timer);
      removeEventListener("focus", look);
    };
  }, [saved, isDirty, load]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || isTyping(event)) return;
      const key = event.key.toLowerCase();
      if (key === "z") step(event.shiftKey ? "redo" : "undo");
      else if (key === "y") step("redo");
      else if (key === "s") void save();
      else return;
      event.preventDefault();
    };
    const onLeave = (event: BeforeUnloadEvent) => {
      if (isUnsaved.current) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    addEventListener("beforeunload", onLeave);
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("beforeunload", onLeave);
    };
  });

  const now = useNow(document?.refresh === "live" ? (document.range?.last ?? null) : null);
  if (error) return <Missing start={start} error={error} />;
  if (!document) return <Loading what="Opening the board…" />;

  const outer = rangeFilters(document.range, now);
  const isPaused = document.refresh === "paused";
  const filtersFor = (panel: PanelDocument) => {
    const laid = panel.config.text === undefined ? outer : [];
    return picked && picked.panel !== panel.id ? [...laid, ...picked.filters] : laid;
  };
  const setPanels = (edit: (panels: PanelDocument[]) => PanelDocument[]) =>
    change((document) => ({ ...document, panels: edit(document.panels) }));
  const pause = () => {
    connection.pause(!isPaused);
    change((document) => ({ ...document, refresh: isPaused ? "live" : "paused" }));
  };
  const saveAs = async (title: string) => {
    try {
      const taken = await api.boards(entity, project);
      const free = freeName(nameOf(title), taken.map((it) => it.name));
      await api.saveBoard([entity, project, free], { ...document, title }, "new");
      keep({ text: JSON.stringify(document), etag: "" });
      location.assign(boardLink(entity, project, free));
    } catch (error) {
      toastError(error);
    }
  };
  const rename = async (title: string) => {
    try {
      const to = nameOf(title);
      const renamed = { ...document, title };
      const etag = await api.saveBoard([entity, project, name], renamed, saved?.etag ?? null);
      keep({ text: JSON.stringify(document), etag });
      if (to !== name) await api.renameBoard(entity, project, name, to);
      location.assign(boardLink(entity, project, to));
    } catch (error) {
      refused(error);
    }
  };
  const remove = async () => {
    try {
      await api.deleteBoard(entity, project, name);
      keep({ text: JSON.stringify(document), etag: "" });
      location.assign(`/${path(entity, project)}`);
    } catch (error) {
      toastError(error);
    }
  };
  const ofWriter = (items: MenuItem[]) => (start.writes ? items : []);
  const exportDocument = () => {
    const blob = new Blob([JSON.stringify(document, null, 2)], { type: "application/json" });
    const link = globalThis.document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.board.json`;
    link.click();
  };

  return (
    <div class={start.embed ? "page embed" : "page"}>
      {!start.embed && (
        <Bar trail={[...trailOf(entity, project), { text: document.title || name }]}>
          <ConnectionMark connection={connection} isPaused={isPaused} />
          {isDirty && <span class="unsaved">not saved</span>}
          <Menu
            label={rangeLabel(document.range)}
            items={[null, ...RANGES].map((last) => ({
              label: rangeLabel(last ? { last } : null),
              isChecked: (document.range?.last ?? null) === last && !document.range?.from,
              onSelect: () => change((it) => ({ ...it, range: last ? { last } : null })),
            }))}
          />
          <Button
            icon={isPaused ? "play" : "pause"}
            label={isPaused ? "Resume" : "Pause"}
            bare
            pressed={isPaused}
            onClick={pause}
          />
          {start.writes ? (
            <>
              <Button
                icon="edit"
                label="Edit layout"
                bare
                pressed={isEditing}
                onClick={() => setEditing(!isEditing)}
              />
              <Button icon="add" label="Add a panel" bare onClick={() => setAsked("add")} />
              <Button icon="undo" label="Undo" bare disabled={!history?.canUndo} onClick={() => step("undo")} />
              <Button icon="redo" label="Redo" bare disabled={!history?.canRedo} onClick={() => step("redo")} />
              <Button
                icon="save"
                label="Save"
                kind={isDirty ? "primary" : "plain"}
                disabled={!isDirty}
                onClick={() => void save()}
              />
            </>
          ) : (
            <span class="read-only" title={READ_ONLY}>
              read only
            </span>
          )}
          <Menu
            icon="more"
            label="More"
            bare
            items={[
              ...ofWriter([
                { label: "Save as…", icon: "copy", onSelect: () => setAsked("save-as") },
                { label: "Rename…", icon: "edit", onSelect: () => setAsked("rename") },
              ]),
              {
                label: "Copy link",
                icon: "link",
                onSelect: () =>
                  void navigator.clipboard
                    .writeText(location.href)
                    .then(() => toast("The link is copied")),
              },
              { label: "Download as JSON", icon: "download", onSelect: exportDocument },
              ...ofWriter([
                ...THEMES.map(([theme, label], i) => ({
                  label,
                  heading: i === 0 ? "Colours of this board" : undefined,
                  isChecked: document.theme === theme,
                  onSelect: () => change((it) => ({ ...it, theme })),
                })),
                {
                  label: "Delete…",
                  icon: "trash",
                  isDanger: true,
                  onSelect: () => setAsked("delete"),
                },
              ]),
            ]}
          />
        </Bar>
      )}
      {start.embed && (
        <header class="bar">
          <span class="embed-name">
            <bdi>{document.title || name}</bdi>
          </span>
          <div class="bar-tools">
            <ConnectionMark connection={connection} isPaused={isPaused} />
            <a
              class="button plain bare"
              href={boardLink(entity, project, name)}
              target="_blank"
              rel="noopener"
              title="Open in a new tab"
              aria-label="Open in a new tab"
            >
              <Icon name="external" />
            </a>
          </div>
        </header>
      )}
      {isNewer && (
        <div class="banner" role="alert">
          Somebody saved a newer version of this board.
          <Button label="Show it" onClick={() => void load()} />
          <Button label="Keep mine" onClick={() => setNewer(false)} />
        </div>
      )}
      {picked && (
        <div class="chips" aria-label="Filters from a chart">
          {picked.filters.map((filter, i) => (
            <span key={i} class="chip">
              <bdi>{String(filter[0])}</bdi> {filter[1]} <b>{String(filter[2] ?? "")}</b>
            </span>
          ))}
          <Button icon="close" label="Clear" onClick={() => setPicked(null)} />
        </div>
      )}
      <main class="board-main">
        <div class={isEditing ? "board-grid editing" : "board-grid"}>
          {document.panels.map((panel) => (
            <BoardPanel
              key={panel.id}
              panel={panel}
              connection={connection}
              outer={filtersFor(panel)}
              writes={start.writes}
              isEditing={isEditing}
              onPlace={(layout) => setPanels((panels) => place(panels, panel.id, layout))}
              onChange={(edit) =>
                setPanels((panels) => panels.map((it) => (it.id === panel.id ? edit(it) : it)))
              }
              onCopy={() =>
                setPanels((panels) =>
                  settle([
                    ...panels,
                    { ...panel, id: newId(), layout: { ...panel.layout, y: bottom(panels) } },
                  ]),
                )
              }
              onRemove={() => setPanels((panels) => settle(panels.filter((it) => it.id !== panel.id)))}
              onRow={(table, position) => setRow({ table, position })}
              onPick={(filters) =>
                setPicked(filters.length > 0 ? { panel: panel.id, filters } : null)
              }
            />
          ))}
        </div>
        {document.panels.length === 0 && (
          <State icon="board" title="An empty board">
            {start.writes && (
              <>
                <p>Add a panel: rows, a chart, pictures, a number or a text.</p>
                <Button icon="add" label="Add a panel" kind="primary" onClick={() => setAsked("add")} />
              </>
            )}
          </State>
        )}
        {row && (
          <RowDrawer
            table={row.table}
            position={row.position}
            onMove={(position) => setRow({ ...row, position })}
            onClose={() => setRow(null)}
          />
        )}
      </main>
      {asked === "add" && (
        <AddPanel
          entity={entity}
          project={project}
          onAdd={(panel) => {
            setPanels((panels) =>
              settle([...panels, { ...panel, layout: { ...panel.layout, y: bottom(panels) } }]),
            );
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "rename" && (
        <Ask
          title="Rename the board"
          label="Title"
          value={document.title || name}
          action="Rename"
          hint="Its link changes with it."
          onDone={(title) => void rename(title)}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "save-as" && (
        <Ask
          title="Save as a new board"
          label="Title"
          value={`${document.title || name} copy`}
          action="Save"
          onDone={(title) => void saveAs(title)}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "delete" && (
        <Dialog
          title="Delete this board?"
          onClose={() => setAsked(null)}
          actions={
            <>
              <Button label="Cancel" onClick={() => setAsked(null)} />
              <Button label="Delete" kind="danger" onClick={() => void remove()} />
            </>
          }
        >
          <p>
            <b>{document.title || name}</b> goes away for everybody. The rows that it shows stay.
          </p>
        </Dialog>
      )}
      {asked === "conflict" && (
        <Dialog
          title="Somebody else saved this board"
          onClose={() => setAsked(null)}
          actions={
            <>
              <Button label="Show theirs" onClick={() => void load().then(() => setAsked(null))} />
              <Button label="Save as a copy…" onClick={() => setAsked("save-as")} />
              <Button label="Save over theirs" kind="danger" onClick={() => void save(null)} />
            </>
          }
        >
          <p>
            {theirs.author ? <b>{theirs.author}</b> : "Somebody"} saved a newer version
            {theirs.updated ? ` ${formatAgo(new Date(theirs.updated))}` : ""}, while you changed yours.
            Nothing is lost: earlier versions are kept on the server.
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Missing({ start, error }: { start: BoardStart; error: ApiError }) {
  const { entity, project, board } = start;
  const isMissing = error.status === 404 || error.status === 403;
  return (
    <div class="page">
      <Bar trail={[...trailOf(entity, project), { text: board }]} />
      <main>
        <State
          icon="board"
          title={isMissing ? "No such board" : "The board cannot be opened"}
          isError={!isMissing}
        >
          <p>
            {isMissing
              ? `There is no board ${board} in ${entity}/${project}, or your key does not open it.`
              : error.message}
          </p>
          <a class="button primary" href={`/${path(entity, project)}`}>
            <Icon name="home" /> All boards and tables
          </a>
        </State>
      </main>
    </div>
  );
}

/** The time, moving on in steps that suit a range; standing still without one. */
function useNow(last: string | null): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const length = last ? lengthOf(last) : null;
    if (!length) return;
    setNow(Date.now());
    const timer = setInterval(() => {
      if (!globalThis.document.hidden) setNow(Date.now());
    }, stepOf(length));
    return () => clearInterval(timer);
  }, [last]);
  return now;
}

function isTyping(event: Event): boolean {
  const target = event.composedPath()[0] as Element;
  return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || (target as HTMLElement).isContentEditable;
}

