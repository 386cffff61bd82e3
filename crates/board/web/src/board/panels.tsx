// The contents of a board's panels.

import { useEffect, useRef, useState } from "preact/hooks";
import { decorate, keepPlace, dressAgain } from "../grid/cells";
import { formats, grown, namesOf } from "../grid/defaults";
import { mediaAt, rowsOf } from "../grid/lookup";
import { type RowAt, rowAt } from "../grid/walk";
import type { Connection } from "../live/connection";
import type { Overlay } from "../live/overlay";
import type { Viewer, ViewerConfig } from "../live/perspective";
import type { RowsDetail } from "../live/plugins";
import { type ClickDetail, LiveViewer } from "../live/viewer";
import { onTheme } from "../theme";
import { Lightbox, markdown, Sandbox } from "../ui/media";
import { DriftPanel, SqlPanel } from "../parts";
import { toastError } from "../ui/toast";
import { ViewBar } from "../ui/view-bar";
import { formatCount, type Media, plural, type Shapes, SYSTEM_COLUMNS } from "../values";
import { chartKind } from "../chart/kinds";
import { withCuts, withoutCuts } from "./buckets";
import { ChartPanel } from "./chart-panel";
import { NoRows } from "./cover";
import { ImagesPanel } from "./images-panel";
import { StatPanel } from "./stat-panel";
import type { PanelDocument, Range } from "./document";
import { type Pick, picksOf } from "./picks";
import { forgetShapes, shapesOfTable } from "./shapes";
import { type Cuts, useCuts } from "./use-cuts";

export interface PanelBodyProps {
  panel: PanelDocument;
  connection: Connection;
  /** The entity and the project of the board. */
  home: [string, string];
  /** What the board lays over the panel's own filters. */
  overlay: Overlay;
  /** The same for the period before the range; null if there is none. */
  former: Overlay | null;
  /** The same without a range. */
  timeless: Overlay;
  range: Range | null;
  /** The SQL of the values of the board's variables, by their columns. */
  variables: Record<string, string>;
  hasPicks: boolean;
  /** The span that the range shows, in milliseconds; the end is null if it is now. */
  span: [number, number | null] | null;
  /** Whether the panel has room for the controls of its view. */
  isLarge: boolean;
  /** Whether Perspective draws the panel, so that its settings can be used. */
  isAdvanced: boolean;
  onChange(config: ViewerConfig): void;
  onRow(row: RowAt): void;
  /** Called when a part of a chart was clicked. */
  onPick(picks: Pick[]): void;
  onClearPicks(): void;
  /** Called when a span of time was chosen, in milliseconds. */
  onZoom(from: number, to: number): void;
  /** Called with the panel's viewer, and with null when it is gone. */
  onViewer(viewer: LiveViewer | null): void;
  /** Called with a note on the chart, such as the size of its buckets. */
  onNote(note: string): void;
}

export function PanelBody(props: PanelBodyProps) {
  const { panel } = props;
  if (panel.kind === "text") return <TextPanel text={panel.config.text ?? ""} title={panel.title} />;
  if (panel.kind === "sql") return <SqlPanel {...props} />;
  if (!panel.table) return <p class="panel-note">This panel names no table.</p>;
  if (panel.kind === "chart" && !props.isAdvanced && chartKind(panel.config)) {
    return <ChartPanel {...props} table={panel.table} />;
  }
  switch (panel.kind) {
    case "drift":
      return <DriftPanel {...props} table={panel.table} />;
    case "stat":
      return <StatPanel {...props} table={panel.table} />;
    case "images":
      return <ImagesPanel {...props} table={panel.table} />;
    default:
      return <ViewerPanel {...props} table={panel.table} />;
  }
}

function ViewerPanel(props: PanelBodyProps & { table: string }) {
  const { panel, table, connection, overlay } = props;
  const host = useRef<HTMLDivElement>(null);
  const viewer = useRef<LiveViewer | null>(null);
  const shapes = useRef<Shapes>(new Map());
  const [known, setKnown] = useState<Shapes | null>(null);
  const [error, setError] = useState("");
  const [rows, setRows] = useState<RowsDetail | null>(null);
  const [opened, setOpened] = useState<{ media: Media; column: string; y: number } | null>(null);
  const isLone = rows?.rows === 1;
  const width = () => host.current?.clientWidth ?? 0;
  const cuts = useCuts(connection, { table, config: panel.config, overlay }, known, width);
  const latest = useRef({ ...props, cuts: cuts ?? {}, isLone });
  latest.current = { ...props, cuts: cuts ?? {}, isLone };

  useEffect(() => {
    let isGone = false;
    const found = shapesOfTable(table).then((found) => {
      if (isGone) return;
      shapes.current = found;
      setKnown(found);
    });
    found.catch((error: Error) => setError(error.message));
    return () => {
      isGone = true;
    };
  }, [table]);

  const isReady = known !== null && cuts !== null;
  useEffect(() => {
    if (!isReady || !host.current) return;
    const dress = (viewer: Viewer) => {
      decorate(viewer, table, () => shapes.current, {
        onMedia: (media, column, y) => setOpened({ media, column, y }),
        onRow: (y) => void openRow(y),
        pinned: () => latest.current.panel.config.pinned ?? [],
        scales: () => latest.current.panel.config.scales ?? {},
        positions,
      });
    };
    const live = new LiveViewer(host.current, connection, table, configOf(latest.current, shapes.current), {
      onPlugin: dress,
      onDrawn: (before) => {
        if (live.element) keepPlace(live.element, before);
      },
      onShown: () => {
        setError("");
        if (live.element) void dressAgain(live.element).catch(() => undefined);
      },
      onRows: setRows,
      onChange: (config) => latest.current.onChange(stripped(config, latest.current)),
      onColumns: async (config) => {
        const before = shapes.current;
        forgetShapes(table);
        shapes.current = await shapesOfTable(table);
        return latest.current.panel.kind === "grid" ? grown(config, before, shapes.current) : config;
      },
      onClick: (detail) => pick(detail),
      onError: (error) => setError(error.message),
    });
    viewer.current = live;
    live.overlay(latest.current.overlay);
    latest.current.onViewer(live);
    const stop = onTheme(() => live.restyle());
    return () => {
      stop();
      live.close();
      viewer.current = null;
      latest.current.onViewer(null);
    };
  }, [panel.id, table, connection, isReady]);

  useEffect(() => viewer.current?.overlay(overlay), [JSON.stringify(overlay)]);
  // Applies changes by undo, by another version or of the buckets, but not the viewer's own.
  const cutsKey = JSON.stringify(Object.values(cuts ?? {}).map((cut) => cut.expression));
  const shownKey = useRef("");
  useEffect(() => {
    const live = viewer.current;
    if (!live) return;
    const key = `${cutsKey} ${isLone}`;
    if (shownKey.current !== "" && shownKey.current !== key) {
      live.set(configOf(latest.current, shapes.current));
    } else if (!isSame(stripped(live.save(), latest.current), panel.config)) {
      live.set({ ...live.save(), ...withCuts(panel.config, latest.current.cuts) });
    }
    shownKey.current = key;
  }, [JSON.stringify(panel.config), cutsKey, isLone, isReady]);
  useEffect(() => props.onNote(noteOf(cuts, rows)), [cutsKey, rows?.every]);

  const pick = ({ config }: ClickDetail) => {
    const { panel, overlay, cuts, onPick } = latest.current;
    if (panel.kind !== "chart") return;
    const own = [...(panel.config.filter ?? []), ...overlay.filter].map((it) => JSON.stringify(it));
    const filters = (config.filter ?? []).filter((it) => !own.includes(JSON.stringify(it)));
    onPick(picksOf(filters, { panel: panel.id, table, config: panel.config, cuts, shapes: shapes.current }));
  };
  const tableOf = async () => {
    if (!connection.client) throw new Error("the server cannot be reached");
    return connection.client.open_table(table);
  };
  const view = () => rowsOf(viewer.current?.save() ?? {}, latest.current.overlay);
  const positions = () => ({ table: tableOf, view });
  const openRow = async (y: number) => {
    try {
      const row = await rowAt(table, positions(), y);
      if (row) props.onRow(row);
    } catch (error) {
      toastError(error);
    }
  };
  const names = [...namesOf(shapes.current), ...Object.keys(panel.config.expressions ?? {})];
  const columns = panel.config.columns ?? names.filter((name) => !SYSTEM_COLUMNS.has(name));
  return (
    <>
      {props.isLarge && isReady && (
        <ViewBar
          config={{ ...panel.config, columns }}
          names={names}
          shapes={shapes.current}
          rows={rows?.rows ?? null}
          total={null}
          onChange={(changes) => props.onChange({ ...panel.config, ...changes })}
        />
      )}
      <div class="viewer-host" ref={host} />
      {error && (
        <p class="panel-note error" role="alert">
          {error}
        </p>
      )}
      {rows?.rows === 0 && !error && (
        <NoRows
          host={host.current}
          range={props.range}
          hasPicks={props.hasPicks}
          onClear={props.onClearPicks}
        />
      )}
      {opened && (
        <Lightbox
          title={opened.column}
          first={opened.media}
          load={async (step) =>
            step === 0
              ? opened.media
              : mediaAt(await tableOf(), table, view(), opened.column, opened.y, step)
          }
          onClose={() => setOpened(null)}
        />
      )}
    </>
  );
}

interface Drawn {
  panel: PanelDocument;
  cuts: Cuts;
  /** Whether a single group is shown, which a line cannot show. */
  isLone: boolean;
}

function configOf({ panel, cuts, isLone }: Drawn, shapes: Shapes): ViewerConfig {
  const config = withCuts(withFormats(panel, shapes), cuts);
  const isLine = config.plugin === "Y Line" || config.plugin === "Y Area";
  const isTime = Object.values(cuts).some((cut) => cut.bucket.kind === "time");
  if (!isLine || !isTime) return config;
  const columns_config = { ...config.columns_config };
  for (const column of config.columns ?? []) {
    if (column === null) continue;
    // A line across missing buckets is faint; a line needs two points.
    const lone = isLone ? { chart_type: "scatter" } : {};
    columns_config[column] = { interpolate: "transparent", ...lone, ...columns_config[column] };
  }
  return { ...config, columns_config };
}

function noteOf(cuts: Cuts | null, rows: RowsDetail | null): string {
  if (rows && rows.every > 1) return `1 of every ${formatCount(rows.every)} of ${plural(rows.rows, "row")}`;
  const sizes = Object.values(cuts ?? {}).map((cut) => cut.size);
  return sizes.filter(Boolean).map((size) => `per ${size}`).join(", ");
}

/** Adds the default formats of the columns to a panel's configuration. */
function withFormats(panel: PanelDocument, shapes: Shapes): ViewerConfig {
  const { buckets: _buckets, text: _text, ...config } = panel.config;
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

/** Removes from a viewer's configuration what the page added to the panel's. */
function stripped(config: ViewerConfig, { panel, cuts }: Drawn): PanelDocument["config"] {
  const { settings: _settings, ...kept } = withoutCuts(config, panel.config, cuts);
  return { ...panel.config, ...kept };
}

function isSame(shown: PanelDocument["config"], wanted: PanelDocument["config"]): boolean {
  const ignored = new Set(["buckets", "columns_config", "pinned", "plugin_config", "scales", "settings", "text"]);
  return Object.entries(wanted).every(([key, value]) => {
    if (ignored.has(key)) return true;
    const found = shown[key as keyof ViewerConfig];
    const isEmpty = found === undefined && Object.keys(value as object).length === 0;
    return isEmpty || JSON.stringify(found) === JSON.stringify(value);
  });
}

function TextPanel({ text, title }: { text: string; title: string }) {
  if (!text.trim()) return <p class="panel-note">Empty. Choose “Edit text” in the panel's menu.</p>;
  return <Sandbox html={markdown(text)} title={title} />;
}
