// The panel of a table: all its rows, live.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, boardLink, panelLink, type TableSummary } from "../api";
import { emptyBoard, freeName } from "../board/document";
import { datagridOf, decorate, keepPlace } from "../grid/cells";
import { defaultView, grown, namesOf, ROW_HEIGHTS, type RowSize } from "../grid/defaults";
import { mediaAt, positionAt, rowsOf } from "../grid/lookup";
import { Tail } from "../grid/tail";
import { putViewInAddress, viewInAddress } from "../link";
import type { Connection } from "../live/connection";
import type { Viewer, ViewerConfig } from "../live/perspective";
import { LiveViewer } from "../live/viewer";
import type { PanelStart } from "../start";
import { onTheme } from "../theme";
import { Bar, trailOf } from "../ui/bar";
import { Button } from "../ui/button";
import { ConnectionMark } from "../ui/connection";
import { Icon } from "../ui/icon";
import { Lightbox } from "../ui/media";
import { Menu } from "../ui/menu";
import { RowDrawer } from "../ui/row";
import { Loading, State } from "../ui/state";
import { toast, toastError } from "../ui/toast";
import { formatAgo, formatBytes, type Media, plural, type Shapes, shapesOf } from "../values";

interface PanelProps {
  start: PanelStart & { embed: boolean };
  connection: Connection;
}

interface Opened {
  media: Media;
  column: string;
  y: number;
}

export function Panel({ start, connection }: PanelProps) {
  const name = `${start.entity}/${start.project}/${start.table}`;
  const host = useRef<HTMLDivElement>(null);
  const viewer = useRef<LiveViewer | null>(null);
  const shapes = useRef<Shapes>(new Map());
  const tail = useMemo(() => new Tail(), []);
  const [isFollowing, setFollowing] = useState(false);
  const [isPaused, setPaused] = useState(false);
  const [isDrawn, setDrawn] = useState(false);
  const [isEmpty, setEmpty] = useState(false);
  const [error, setError] = useState("");
  const [row, setRow] = useState<number | null>(null);
  const [opened, setOpened] = useState<Opened | null>(null);

  useEffect(() => {
    let live: LiveViewer | null = null;
    let isGone = false;
    const learn = async () => {
      shapes.current = shapesOf(await api.schema(name));
    };
    const begin = async () => {
      const [linked] = await Promise.all([viewInAddress(), learn()]);
      if (isGone || !host.current) return;
      const [, template] = BOARD_IN_ADDRESS.exec(location.hash) ?? [];
      if (template) await openBoard(start, template as Template).catch(toastError);
      setEmpty(false);
      const config = linked ?? defaultView(namesOf(shapes.current), shapes.current);
      const dress = (viewer: Viewer) => {
        decorate(viewer, name, () => shapes.current, {
          onMedia: (media, column, y) => setOpened({ media, column, y }),
          onRow: (y) => void openRow(y),
          onDrawing: (grid, rows) => tail.drawing(grid, rows),
          onDraw: (grid) => tail.drawn(grid),
        });
      };
      live = new LiveViewer(host.current, connection, name, config, {
        onPlugin: dress,
        onDrawn: (before) => {
          if (live?.element) keepPlace(live.element, before);
          setDrawn(true);
          setError("");
        },
        onChange: (config) => {
          if (!start.embed) void putViewInAddress(config);
        },
        onColumns: async (config) => {
          const before = shapes.current;
          await learn();
          return grown(config, before, shapes.current);
        },
        onError: (error) => setError(error.message),
      });
      viewer.current = live;
    };
    const wait = async () => {
      try {
        await begin();
      } catch {
        // A table that nothing was logged to yet is made by its first row.
        if (isGone) return;
        setEmpty(true);
        setTimeout(() => void wait(), 1_000);
      }
    };
    void wait();
    const stops = [
      onTheme(() => live?.restyle()),
      tail.onChange(setFollowing),
    ];
    return () => {
      isGone = true;
      for (const stop of stops) stop();
      live?.close();
    };
  }, [name, connection]);

  const tableOf = async () => {
    const { client } = connection;
    if (!client) throw new Error("the server cannot be reached");
    return client.open_table(name);
  };
  const openRow = async (y: number) => {
    try {
      const rows = rowsOf(viewer.current?.save() ?? {});
      setRow(await positionAt(await tableOf(), rows, y));
    } catch (error) {
      toastError(error);
    }
  };
  const follow = () => {
    const grid = viewer.current?.element && datagridOf(viewer.current.element)?.regular_table;
    if (grid) tail.set(grid, !isFollowing);
  };
  const pause = () => {
    connection.pause(!isPaused);
    setPaused(!isPaused);
  };

  const save = () => viewer.current?.save() ?? {};
  return (
    <div class={start.embed ? "page embed" : "page"}>
      {start.embed ? (
        <EmbedBar name={name} start={start} connection={connection} />
      ) : (
        <Bar trail={[...trailOf(start.entity, start.project), { text: start.table }]}>
          <ConnectionMark connection={connection} isPaused={isPaused} />
          <Facts name={name} />
          <Button
            icon={isPaused ? "play" : "pause"}
            label={isPaused ? "Resume" : "Pause"}
            bare
            pressed={isPaused}
            onClick={pause}
          />
          <Button
            icon="tail"
            label="Follow newest rows"
            bare
            pressed={isFollowing}
            onClick={follow}
          />
          <SizeMenu viewer={() => viewer.current} />
          <Button
            icon="settings"
            label="Columns, sort, filter, charts"
            bare
            onClick={() => void viewer.current?.toggleSettings()}
          />
          <ExportMenu name={name} save={save} />
          <Button icon="link" label="Copy link to this view" bare onClick={() => void copyLink(save())} />
          {start.writes && <NewBoardMenu start={start} save={save} />}
        </Bar>
      )}
      <main class="panel-main">
        <div class="viewer-host" ref={host} data-testid="viewer" />
        {!isDrawn && !isEmpty && !error && <Loading what="Opening the table…" />}
        {isEmpty && (
          <State icon="row" title="No rows yet">
            <p>
              Rows of <b>{name}</b> appear here as they are logged.
            </p>
          </State>
        )}
        {error && (
          <State title="This view cannot be shown" isError>
            <p>{error}</p>
            <a class="button primary" href={panelLink(start.entity, start.project, start.table)}>
              Show the whole table
            </a>
          </State>
        )}
        {row !== null && (
          <RowDrawer table={name} position={row} onMove={setRow} onClose={() => setRow(null)} />
        )}
      </main>
      {opened && (
        <Lightbox
          title={opened.column}
          first={opened.media}
          load={async (step) => {
            if (step === 0) return opened.media;
            const rows = rowsOf(save());
            return mediaAt(await tableOf(), name, rows, opened.column, opened.y, step);
          }}
          onClose={() => setOpened(null)}
        />
      )}
    </div>
  );
}

async function copyLink(config: ViewerConfig): Promise<void> {
  await putViewInAddress(config);
  await navigator.clipboard.writeText(location.href);
  toast("The link to this view is copied");
}

/** How many rows there are, and when the last came. */
function Facts({ name }: { name: string }) {
  const [about, setAbout] = useState<TableSummary | null>(null);
  useEffect(() => {
    const ask = () => {
      if (document.hidden) return;
      api.table(name).then(setAbout, () => undefined);
    };
    ask();
    const timer = setInterval(ask, 1_000);
    return () => clearInterval(timer);
  }, [name]);
  if (!about) return null;
  return (
    <span class="facts" data-testid="facts">
      <b>{plural(about.rows, "row")}</b>
      <span title={about.last_write}>{formatAgo(new Date(about.last_write))}</span>
      <span>{formatBytes(about.bytes)}</span>
    </span>
  );
}

function SizeMenu({ viewer }: { viewer(): LiveViewer | null }) {
  const set = (size: RowSize) => {
    const live = viewer();
    if (!live) return;
    const config = live.save();
    live.set({
      ...config,
      plugin_config: { ...config.plugin_config, row_height: ROW_HEIGHTS[size] },
    });
  };
  return (
    <Menu
      icon="row"
      label="Row height"
      bare
      items={[
        { label: "Small rows", onSelect: () => set("small") },
        { label: "Medium rows", onSelect: () => set("medium") },
        { label: "Large rows", onSelect: () => set("large") },
      ]}
    />
  );
}

const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
  ["jsonl", "JSON lines"],
] as const;

export function ExportMenu({ name, save }: { name: string; save(): ViewerConfig }) {
  const run = async (format: string) => {
    try {
      toast("The export is being made…");
      const { columns, group_by, split_by, sort, filter, expressions, aggregates } = save();
      const view = { columns, group_by, split_by, sort, filter, expressions, aggregates };
      const blob = await api.export(name, view, format);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name.split("/").at(-1)}.${format}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <Menu
      icon="download"
      label="Export this view"
      bare
      items={FORMATS.map(([format, label]) => ({ label, onSelect: () => void run(format) }))}
    />
  );
}

type Template = "overview" | "monitoring" | "view";

/** Makes a board of a table, and goes there. */
async function makeBoard(start: PanelStart, template: Template, save: () => ViewerConfig): Promise<void> {
  const { entity, project, table } = start;
  const name = `${entity}/${project}/${table}`;
  const document =
    template === "view"
      ? emptyBoard(table, { table: name, title: table, config: save() })
      : await api.generated(name, template);
  const taken = await api.boards(entity, project);
  const board = freeName(table, taken.map((it) => it.name));
  await api.saveBoard([entity, project, board], document, "new");
  location.assign(boardLink(entity, project, board));
}

/** What a link asks for that opens a table's board, and makes it where there is none yet. */
const BOARD_IN_ADDRESS = /^#board=(overview|monitoring)$/;

async function openBoard(start: PanelStart, template: Template): Promise<void> {
  const { entity, project, table } = start;
  const boards = await api.boards(entity, project);
  if (boards.some((board) => board.name === table)) {
    location.replace(boardLink(entity, project, table));
  } else if (start.writes) {
    history.replaceState(null, "", location.pathname + location.search);
    await makeBoard(start, template, () => ({}));
  }
}

function NewBoardMenu({ start, save }: { start: PanelStart; save(): ViewerConfig }) {
  const make = (template: Template) => makeBoard(start, template, save).catch(toastError);
  return (
    <Menu
      icon="board"
      label="New board"
      items={[
        {
          label: "Overview",
          hint: "newest rows, rates, distributions",
          onSelect: () => void make("overview"),
        },
        {
          label: "Monitoring",
          hint: "predictions against truth, latency",
          onSelect: () => void make("monitoring"),
        },
        { label: "From this view", hint: "what is shown now", onSelect: () => void make("view") },
      ]}
    />
  );
}

function EmbedBar({ name, start, connection }: { name: string; start: PanelStart; connection: Connection }) {
  return (
    <header class="bar">
      <span class="embed-name">
        <bdi>{name}</bdi>
      </span>
      <div class="bar-tools">
        <ConnectionMark connection={connection} />
        <Facts name={name} />
        <a
          class="button plain bare"
          href={panelLink(start.entity, start.project, start.table)}
          target="_blank"
          rel="noopener"
          title="Open in a new tab"
          aria-label="Open in a new tab"
        >
          <Icon name="external" />
        </a>
      </div>
    </header>
  );
}
