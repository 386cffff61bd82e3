// What is inside of a board's panels.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { decorate, keepPlace } from "../grid/cells";
import { formats, grown, namesOf } from "../grid/defaults";
import { mediaAt, positionAt, rowsOf } from "../grid/lookup";
import type { Connection } from "../live/connection";
import type { Filter, ViewConfig, Viewer, ViewerConfig } from "../live/perspective";
import { LiveViewer } from "../live/viewer";
import { onTheme } from "../theme";
import { Lightbox, markdown, Sandbox } from "../ui/media";
import { toastError } from "../ui/toast";
import { formatNumber, type Media, mediaOf, plural, type Shapes, shapesOf, SYSTEM_COLUMNS } from "../values";
import type { PanelDocument } from "./document";
import { useView } from "./use-view";

export interface PanelBodyProps {
  panel: PanelDocument;
  connection: Connection;
  /** What the board lays over the panel's own filters. */
  outer: Filter[];
  onChange(config: ViewerConfig): void;
  onRow(table: string, position: number): void;
  /** A part of a chart was clicked: what it stands for. */
  onPick(filters: Filter[]): void;
  /** How others reach the panel's viewer. */
  onViewer(viewer: LiveViewer | null): void;
}

export function PanelBody(props: PanelBodyProps) {
  const { panel } = props;
  if (panel.kind === "text") return <TextPanel text={panel.config.text ?? ""} title={panel.title} />;
  if (!panel.table) return <p class="panel-note">This panel names no table.</p>;
  switch (panel.kind) {
    case "stat":
      return <StatPanel {...props} table={panel.table} />;
    case "images":
      return <ImagesPanel {...props} table={panel.table} />;
    default:
      return <ViewerPanel {...props} table={panel.table} />;
  }
}

const schemas = new Map<string, Promise<Shapes>>();

/** A table's columns, asked for once for all panels. */
function shapesOfTable(table: string): Promise<Shapes> {
  let found = schemas.get(table);
  if (!found) {
    found = api.schema(table).then(shapesOf);
    found.catch(() => schemas.delete(table));
    schemas.set(table, found);
  }
  return found;
}

function ViewerPanel(props: PanelBodyProps & { table: string }) {
  const { panel, table, connection, outer } = props;
  const host = useRef<HTMLDivElement>(null);
  const viewer = useRef<LiveViewer | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [error, setError] = useState("");
  const [opened, setOpened] = useState<{ media: Media; column: string; y: number } | null>(null);

  useEffect(() => {
    let isGone = false;
    let live: LiveViewer | null = null;
    const begin = async () => {
      let shapes = await shapesOfTable(table);
      if (isGone || !host.current) return;
      const config = withFormats(latest.current.panel, shapes);
      const dress = (viewer: Viewer) => {
        decorate(viewer, table, () => shapes, {
          onMedia: (media, column, y) => setOpened({ media, column, y }),
          onRow: (y) => void openRow(y),
        });
      };
      live = new LiveViewer(host.current, connection, table, config, {
        onPlugin: dress,
        onDrawn: (before) => {
          if (live?.element) keepPlace(live.element, before);
          setError("");
        },
        onChange: (config) => {
          latest.current.onChange(stripped(config, latest.current.panel));
        },
        onColumns: async (config) => {
          const before = shapes;
          schemas.delete(table);
          shapes = await shapesOfTable(table);
          return latest.current.panel.kind === "grid" ? grown(config, before, shapes) : config;
        },
        onClick: ({ config }) => {
          const known = new Set((live?.save().filter ?? []).map((it) => JSON.stringify(it)));
          const laid = new Set(latest.current.outer.map((it) => JSON.stringify(it)));
          const picked = (config.filter ?? []).filter((it) => {
            const text = JSON.stringify(it);
            return !known.has(text) && !laid.has(text);
          });
          if (latest.current.panel.kind === "chart") latest.current.onPick(picked);
        },
        onError: (error) => setError(error.message),
      });
      viewer.current = live;
      live.filter(latest.current.outer);
      latest.current.onViewer(live);
    };
    begin().catch((error: Error) => setError(error.message));
    const stop = onTheme(() => live?.restyle());
    return () => {
      isGone = true;
      stop();
      live?.close();
      latest.current.onViewer(null);
    };
  }, [panel.id, table, connection]);

  useEffect(() => viewer.current?.filter(outer), [JSON.stringify(outer)]);
  // What undo brings back, or another's version; not what came from the viewer itself.
  useEffect(() => {
    const live = viewer.current;
    if (live && !isSame(live.save(), panel.config)) live.set({ ...live.save(), ...panel.config });
  }, [JSON.stringify(panel.config)]);

  const tableOf = async () => {
    if (!connection.client) throw new Error("the server cannot be reached");
    return connection.client.open_table(table);
  };
  const rows = () => rowsOf(viewer.current?.save() ?? {}, outer);
  const openRow = async (y: number) => {
    try {
      const position = await positionAt(await tableOf(), rows(), y);
      if (position !== null) props.onRow(table, position);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <>
      <div class="viewer-host" ref={host} />
      {error && (
        <p class="panel-note error" role="alert">
          {error}
        </p>
      )}
      {opened && (
        <Lightbox
          title={opened.column}
          first={opened.media}
          load={async (step) =>
            step === 0
              ? opened.media
              : mediaAt(await tableOf(), table, rows(), opened.column, opened.y, step)
          }
          onClose={() => setOpened(null)}
        />
      )}
    </>
  );
}

/** Formats that the board does not say come from what columns hold. */
function withFormats(panel: PanelDocument, shapes: Shapes): ViewerConfig {
  const { config } = panel;
  const names = namesOf(shapes);
  const own = formats(names, shapes);
  const columns = config.columns ?? names.filter((name) => !SYSTEM_COLUMNS.has(name));
  if (panel.kind !== "grid") return { ...config, settings: false };
  return {
    plugin: "Datagrid",
    ...config,
    columns,
    settings: false,
    columns_config: { ...own.columns_config, ...config.columns_config },
    plugin_config: { ...own.plugin_config, ...config.plugin_config },
  };
}

/** Leaves out what is no part of a board: what the page adds, and what is open just now. */
function stripped(config: ViewerConfig, { config: before }: PanelDocument): ViewerConfig {
  const { settings: _settings, ...kept } = config;
  return { ...before, ...kept };
}

function isSame(shown: ViewerConfig, wanted: ViewerConfig): boolean {
  return Object.entries(wanted).every(([key, value]) => {
    if (key === "columns_config" || key === "plugin_config" || key === "settings") return true;
    return JSON.stringify(shown[key as keyof ViewerConfig]) === JSON.stringify(value);
  });
}

function TextPanel({ text, title }: { text: string; title: string }) {
  if (!text.trim()) return <p class="panel-note">Empty. Choose “Edit text” in the panel's menu.</p>;
  return <Sandbox html={markdown(text)} title={title} />;
}

function StatPanel({ panel, table, connection, outer }: PanelBodyProps & { table: string }) {
  const { columns = [], aggregates = {}, expressions = {}, filter = [] } = panel.config;
  const shown = columns.filter((column) => column !== null);
  const config: ViewConfig = {
    columns: shown,
    aggregates,
    expressions,
    filter: [...filter, ...outer],
    group_by: [],
    group_rollup_mode: "total",
  };
  const { seen, error } = useView(connection, table, config, { first: 1 });
  if (error) return <p class="panel-note error">{error}</p>;
  return (
    <div class="stats">
      {shown.map((column) => {
        const value = seen?.columns[column]?.[0];
        const aggregate = String(aggregates[column] ?? "");
        return (
          <div key={column} class="stat">
            <output>{seen ? statText(value) : "…"}</output>
            {shown.length > 1 && (
              <small>
                {aggregate} {column}
              </small>
            )}
          </div>
        );
      })}
    </div>
  );
}

function statText(value: unknown): string {
  if (typeof value === "number") return formatNumber(value);
  return value === null || value === undefined ? "–" : String(value);
}

/** How large a picture of the wall is, with its caption. */
const TILE = { width: 76, height: 96 };
const MOST_TILES = 120;

function ImagesPanel({ panel, table, connection, outer }: PanelBodyProps & { table: string }) {
  const root = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(24);
  const [opened, setOpened] = useState<string | null>(null);
  useEffect(() => {
    const measure = new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {};
      const tiles = Math.floor(width / TILE.width) * Math.ceil(height / TILE.height);
      setRoom(Math.min(MOST_TILES, Math.max(4, tiles)));
    });
    if (root.current) measure.observe(root.current);
    return () => measure.disconnect();
  }, []);

  const { columns = [], sort = [], filter = [], expressions = {} } = panel.config;
  const [image = "", ...captions] = columns.filter((column) => column !== null);
  const config: ViewConfig = {
    columns: [image, ...captions],
    sort,
    expressions,
    filter: [...filter, ...outer],
  };
  const isSorted = sort.length > 0;
  const window = isSorted ? { first: room } : { last: room };
  const { seen, error } = useView(connection, table, config, window);
  const tiles = (seen?.columns[image] ?? []).map((cell, i) => ({
    media: mediaOf(cell, table),
    texts: captions.map((column) => captionText(seen?.columns[column]?.[i])),
  }));
  // Unsorted, the newest rows are the last ones.
  if (!isSorted) tiles.reverse();
  const shown = tiles.filter((tile) => tile.media !== null);
  const keys = keysOf(shown.map((tile) => tile.media?.url ?? ""));
  const at = shown.findIndex((_, i) => keys[i] === opened);
  return (
    <div class="wall" ref={root}>
      {error && <p class="panel-note error">{error}</p>}
      {seen && shown.length === 0 && !error && <p class="panel-note">No pictures in these rows.</p>}
      {shown.length > 0 && captions.length > 0 && (
        <p class="wall-legend">
          <bdi>{captions.join(" · ")}</bdi>
        </p>
      )}
      <ul aria-label={plural(shown.length, "picture")}>
        {shown.map((tile, i) => (
          <li key={keys[i]}>
            <button
              type="button"
              onClick={() => setOpened(keys[i] ?? null)}
              title={tile.texts.join(" · ")}
            >
              <img
                src={tile.media?.url}
                alt={tile.media?.caption || tile.texts.join(" · ") || "image"}
                class={(tile.media?.width ?? 1000) <= 64 ? "pixels" : ""}
                loading="lazy"
              />
              {tile.texts.length > 0 && <small>{tile.texts.join(" · ")}</small>}
            </button>
          </li>
        ))}
      </ul>
      {at >= 0 && shown[at]?.media && (
        <Lightbox
          title={panel.title}
          first={shown[at].media}
          load={async (step) => shown[at + step]?.media ?? null}
          onClose={() => setOpened(null)}
        />
      )}
    </div>
  );
}

/** A key for each address, so that a picture moves with its row; one that comes twice has two. */
function keysOf(urls: string[]): string[] {
  const seen = new Map<string, number>();
  return urls.map((url) => {
    const nth = seen.get(url) ?? 0;
    seen.set(url, nth + 1);
    return `${nth} ${url}`;
  });
}

function captionText(value: unknown): string {
  if (typeof value === "number") return formatNumber(value);
  return value === null || value === undefined ? "–" : String(value);
}
