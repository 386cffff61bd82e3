// A board: panels over one or several tables.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, boardLink, path } from "../api";
import { BoardPanel } from "../board/frame";
import {
  type BoardDocument,
  completed,
  emptyBoard,
  freeName,
  nameOf,
  newId,
  type PanelDocument,
  type Range,
} from "../board/document";
import { VariableBar, variableFilters, VariablesDialog } from "../board/variables";
import {
  boardStateInAddress,
  dropNewBoard,
  type NewBoard,
  newBoardInAddress,
  putBoardState,
} from "../link";
import { History } from "../board/history";
import { bottom, place, settle } from "../board/layout";
import { formerFilters, lengthOf, rangeFilters, rangeLabel, rangeSpan, stepOf } from "../board/range";
import { RangeDialog } from "../board/range-dialog";
import { useEvents } from "../board/events";
import { AddPanel, EventsDialog, Versions } from "../parts";
import { ConflictDialog, DeleteDialog, Missing, type Theirs } from "../board/dialogs";
import { bucketed } from "../board/buckets";
import { forgetShapes, shapesOfTable } from "../board/shapes";
import { variableSql } from "../board/sql";
import { boardOf } from "../board/templates";
import { overlayOf, type Pick } from "../board/picks";
import type { Connection } from "../live/connection";
import type { RowAt } from "../grid/walk";
import { Events } from "../chart/events";
import { TimeStrip } from "../chart/time-strip";
import { NO_OVERLAY, type Overlay } from "../live/overlay";
import type { BoardStart } from "../start";
import { setBoardTheme } from "../theme";
import { Button } from "../ui/button";
import { Ask } from "../ui/dialog";
import { useNarrow } from "../ui/narrow";
import { RowDrawer } from "../ui/row";
import { Loading, State } from "../ui/state";
import { toast, toastError } from "../ui/toast";
import { isTyping } from "../ui/typing";
import { rowTimeOf, type Shapes } from "../values";
import { type Asked, BoardBar, EmbedBar } from "./board-bar";

interface BoardProps {
  start: BoardStart & { embed: boolean };
  connection: Connection;
}

/** The time between two checks for a newer version. */
const LOOK_MS = 20_000;

/** The version that a board has before it is saved for the first time. */
const UNSAVED = "new";

export function Board({ start, connection }: BoardProps) {
  const { entity, project, board: name } = start;
  const [history, setHistory] = useState<History<BoardDocument> | null>(null);
  const [saved, setSaved] = useState<{ text: string; etag: string } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isEditing, setEditing] = useState(false);
  const [isNewer, setNewer] = useState(false);
  const [asked, setAsked] = useState<Asked>(null);
  const [theirs, setTheirs] = useState<Theirs>({});
  const [picks, setPicks] = useState<Pick[]>([]);
  const [row, setRow] = useState<RowAt | null>(null);
  const [added, setAdded] = useState<string | null>(null);
  const [, redraw] = useState(0);

  const isNarrow = useNarrow();
  const [look, setLook] = useState(boardStateInAddress);
  useEffect(() => {
    const read = () => setLook(boardStateInAddress());
    addEventListener("popstate", read);
    return () => removeEventListener("popstate", read);
  }, []);

  const load = useCallback(async () => {
    try {
      const made = await newBoardInAddress();
      if (made && !(await isKept(entity, project, name))) {
        const document = completed(await documentOf(made));
        setHistory(new History({ ...document, panels: settle(document.panels) }));
        setSaved({ text: "", etag: UNSAVED });
        setError(null);
        return;
      }
      const found = await api.board(entity, project, name);
      const { etag } = found;
      const document = completed(found.document);
      const settled = { ...document, panels: settle(document.panels) };
      setHistory(new History(settled));
      setSaved({ text: JSON.stringify(settled), etag });
      setNewer(false);
      setError(null);
    } catch (error) {
      setError(error as ApiError);
    }
  }, [entity, project, name]);
  useEffect(() => void load(), [load]);

  const document = history?.now ?? null;
  const isChanged = document !== null && saved !== null && JSON.stringify(document) !== saved.text;
  // A reader without the right to save has nothing to lose.
  const isDirty = isChanged && start.writes;
  // A ref, since the user may leave right after a save, before the page is drawn again. A new board
  // without changes can be made again.
  const isUnsaved = useRef(false);
  isUnsaved.current = isDirty && (saved?.etag !== UNSAVED || history?.canUndo === true);
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
      dropNewBoard();
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

  // A newer version of another user is announced if this one has changes, else it is shown.
  useEffect(() => {
    if (!saved || saved.etag === UNSAVED) return;
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

  const shapes = useShapes(connection, document?.panels ?? []);
  const range: Range | null = look.range === undefined ? (document?.range ?? null) : look.range;
  const isPaused = look.isPaused ?? document?.refresh === "paused";
  useEffect(() => connection.pause(isPaused), [isPaused]);
  const now = useNow(isPaused ? null : (range?.last ?? null));
  const { events, errors } = useEvents(connection, document?.events ?? [], (shapes) => rangeFilters(range, now, rowTimeOf(shapes)));
  if (error) return <Missing start={start} error={error} />;
  if (!document) return <Loading what="Opening the board…" />;

  const setState = (state: typeof look) => {
    putBoardState(state);
    setLook(state);
  };
  const zoom = (from: number, to: number) =>
    setState({ ...look, range: { from: new Date(from).toISOString(), to: new Date(to).toISOString() } });
  /** Returns what is laid over a panel, for the range or the period before it; null if it has none, or is unknown. */
  const overlayFor = (panel: PanelDocument, filters: typeof formerFilters = rangeFilters): Overlay | null => {
    const { id, table, config } = panel;
    if (!table) return NO_OVERLAY;
    const known = shapes.get(table);
    const period = known && filters(range, now, rowTimeOf(known));
    if (!period) return null;
    const picked = overlayOf(picks, { id, table, config }, known);
    const chosen = variableFilters(document.variables, look.values ?? {}, known);
    return { ...picked, filter: [...period, ...chosen, ...picked.filter] };
  };
  const isText = (column: string) => {
    const shape = [...shapes.values()].find((it) => it.has(column))?.get(column);
    return !shape?.isBool && !shape?.isInteger;
  };
  const variables = variableSql(document.variables, look.values ?? {}, isText);
  const hasChosen = document.variables.some((column) => look.values?.[column] !== undefined);
  const stripTable = mostCommon(document.panels.flatMap((panel) => panel.table ?? []));
  const stripOverlay = stripTable === undefined ? null : overlayFor(emptyPanel(stripTable));
  const setPanels = (edit: (panels: PanelDocument[]) => PanelDocument[]) =>
    change((document) => ({ ...document, panels: edit(document.panels) }));
  const pause = () => setState({ ...look, isPaused: !isPaused });
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
  /** Sets the title. The link has the board's name, which stays. */
  const rename = async (title: string) => {
    try {
      const renamed = { ...document, title };
      const etag = await api.saveBoard([entity, project, name], renamed, saved?.etag ?? null);
      change(() => renamed);
      keep({ text: JSON.stringify(renamed), etag });
      dropNewBoard();
      setAsked(null);
      toast("The board is saved");
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
  return (
    <div class={start.embed ? "page embed" : "page"}>
      {start.embed ? (
        <EmbedBar start={start} connection={connection} title={document.title} isPaused={isPaused} />
      ) : (
        <BoardBar
          start={start}
          connection={connection}
          document={document}
          range={range}
          isPaused={isPaused}
          isDirty={isDirty}
          isUnsaved={saved?.etag === UNSAVED}
          isNarrow={isNarrow}
          isEditing={isEditing}
          steps={{ canUndo: history?.canUndo === true, canRedo: history?.canRedo === true, go: step }}
          onRange={(range) => setState({ ...look, range })}
          onPause={pause}
          onEdit={() => setEditing(!isEditing)}
          onSave={() => void save()}
          onChange={change}
          onAsk={setAsked}
        />
      )}
      {isNewer && (
        <div class="banner" role="alert">
          Somebody saved a newer version of this board.
          <Button label="Show it" onClick={() => void load()} />
          <Button label="Keep mine" onClick={() => setNewer(false)} />
        </div>
      )}
      {document.variables.length > 0 && (
        <VariableBar
          connection={connection}
          tables={shapes}
          variables={document.variables}
          values={look.values ?? {}}
          onChange={(values) => setState({ ...look, values })}
        />
      )}
      <p class="print-note">{rangeLabel(range)}</p>
      {picks.length > 0 && (
        <div class="chips" role="group" aria-label="Filters from charts">
          {picks.map((pick) => (
            <span key={`${pick.panel} ${pick.group}`} class="chip">
              <bdi>{pick.label}</bdi>
              <Button
                icon="close"
                label={`Remove the filter ${pick.label}`}
                bare
                onClick={() => setPicks(picks.filter((it) => it !== pick))}
              />
            </span>
          ))}
          {picks.length > 1 && <Button label="Clear all" onClick={() => setPicks([])} />}
        </div>
      )}
      <Events.Provider value={events}>
        {stripTable && stripOverlay && shapes.get(stripTable) !== UNREADABLE && !isNarrow && (
          <TimeStrip
            table={stripTable}
            connection={connection}
            shapes={shapes.get(stripTable) as Shapes}
            filter={[]}
            expressions={{}}
            overlay={stripOverlay}
            span={rangeSpan(range, now)}
            onZoom={zoom}
          />
        )}
        <main class="board-main">
          <div class={isEditing ? "board-grid editing" : "board-grid"}>
            {document.panels.map((panel) => (
              <BoardPanel
                key={panel.id}
                panel={panel}
                connection={connection}
                home={[entity, project]}
                overlay={overlayFor(panel)}
                former={overlayFor(panel, formerFilters)}
                timeless={overlayFor(panel, () => [])}
                range={range}
                span={rangeSpan(range, now)}
                variables={variables}
                hasPicks={hasChosen || picks.some((pick) => pick.panel !== panel.id)}
                isNew={panel.id === added}
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
                onRow={setRow}
                onPick={(made) =>
                  setPicks((picks) => [...picks.filter((it) => it.panel !== panel.id), ...made])
                }
                onClearPicks={() => {
                  setPicks([]);
                  if (hasChosen) setState({ ...look, values: {} });
                }}
                onZoom={zoom}
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
            <RowDrawer at={row} writes={start.writes} onMove={setRow} onClose={() => setRow(null)} />
          )}
        </main>
      </Events.Provider>
      {asked === "add" && (
        <AddPanel
          entity={entity}
          project={project}
          onAdd={(panel) => {
            setPanels((panels) =>
              settle([...panels, { ...panel, layout: { ...panel.layout, y: bottom(panels) } }]),
            );
            setAdded(panel.id);
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "variables" && (
        <VariablesDialog
          tables={shapes}
          variables={document.variables}
          onDone={(variables) => {
            change((it) => ({ ...it, variables }));
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "events" && (
        <EventsDialog
          entity={entity}
          project={project}
          sources={document.events}
          errors={errors}
          onChange={(events) => change((it) => ({ ...it, events }))}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "range" && (
        <RangeDialog
          range={range}
          onDone={(range) => {
            setState({ ...look, range });
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
          hint="Its link stays the same."
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
        <DeleteDialog
          title={document.title || name}
          onDelete={() => void remove()}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "versions" && (
        <Versions
          board={[entity, project, name]}
          onShow={(document) => {
            change(() => completed(document));
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "conflict" && (
        <ConflictDialog
          noun="board"
          theirs={theirs}
          onShow={() => void load().then(() => setAsked(null))}
          onCopy={() => setAsked("save-as")}
          onOverwrite={() => void save(null)}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}

function mostCommon(names: string[]): string | undefined {
  const count = (name: string) => names.filter((it) => it === name).length;
  return [...new Set(names)].sort((a, b) => count(b) - count(a))[0];
}

/** A panel of a table that is none of the board's. */
function emptyPanel(table: string): PanelDocument {
  return { id: "", title: "", table, kind: "text", config: {}, layout: { x: 0, y: 0, w: 0, h: 0 } };
}

async function isKept(entity: string, project: string, name: string): Promise<boolean> {
  return (await api.boards(entity, project)).some((board) => board.name === name);
}

/** Makes the document of a new board. */
async function documentOf({ table, template, config }: NewBoard): Promise<Partial<BoardDocument>> {
  const title = table.split("/").at(-1) ?? table;
  if (template === "view") {
    return emptyBoard(title, { table, title, config: bucketed(config ?? {}, await shapesOfTable(table)) });
  }
  return boardOf(template, table, await shapesOfTable(table)) ?? api.generated(table, template);
}

/** Returns the shapes of the tables of panels, as far as they are known. */
function useShapes(connection: Connection, panels: PanelDocument[]): ReadonlyMap<string, Shapes> {
  const [shapes, setShapes] = useState<ReadonlyMap<string, Shapes>>(new Map());
  const tables = [...new Set(panels.flatMap((panel) => panel.table ?? []))].sort();
  useEffect(() => {
    const load = (table: string) => {
      const set = (found: Shapes) => setShapes((shapes) => new Map(shapes).set(table, found));
      // A table that cannot be read says so in its panels.
      shapesOfTable(table).then(set, () => set(UNREADABLE));
    };
    for (const table of tables) load(table);
    return connection.onSchema((table) => {
      if (!tables.includes(table)) return;
      forgetShapes(table);
      load(table);
    });
  }, [tables.join(" "), connection]);
  return shapes;
}

/** The shapes of a table that cannot be read. */
const UNREADABLE: Shapes = new Map();

/** Returns the time, updated in steps that suit a range; constant without one. */
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
