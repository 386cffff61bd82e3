// The panel of a table: a live view of its rows.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, ApiError, panelLink } from "../api";
import { bucketed } from "../board/buckets";
import type { Pick } from "../board/picks";
import { isSameView, type SavedView } from "../board/saved-views";
import { chartKind } from "../chart/kinds";
import { type ChartState, LiveChart } from "../chart/live-chart";
import { prepared } from "../chart/prepare";
import { TimeStrip } from "../chart/time-strip";
import { aggregatesOf, needsAggregates, withAggregates } from "../grid/aggregates";
import { datagridOf, decorate, keepPlace, dressAgain } from "../grid/cells";
import { defaultView, grown, namesOf, NOTHING, ROW_HEIGHTS } from "../grid/defaults";
import { fieldName, withField } from "../grid/fields";
import { HeaderStats } from "../grid/header-stats";
import { mediaAt, rowsOf } from "../grid/lookup";
import { readScale, type Scale, withScale } from "../grid/scales";
import { SEARCH, searched, searchedText } from "../grid/search";
import { Tail } from "../grid/tail";
import { type RowAt, rowAt } from "../grid/walk";
import { putViewInAddress, savedInAddress, viewInAddress } from "../link";
import type { Connection } from "../live/connection";
import { NO_OVERLAY } from "../live/overlay";
import type { Filter, Viewer, ViewerConfig } from "../live/perspective";
import type { RowsDetail } from "../live/plugins";
import { LiveViewer } from "../live/viewer";
import type { PanelStart } from "../start";
import { onTheme } from "../theme";
import { Button } from "../ui/button";
import { Cover } from "../ui/cover";
import { FilterDialog } from "../ui/filter";
import { HeaderMenu } from "../ui/header-menu";
import { HowToLog, NoTable } from "../ui/how-to-log";
import { Lightbox } from "../ui/media";
import { useNarrow } from "../ui/narrow";
import { LABEL, labelsTable, readLabels, withLabels } from "../ui/labels";
import { RowDrawer } from "../ui/row";
import { Loading, State } from "../ui/state";
import { toast, toastError } from "../ui/toast";
import { isTyping } from "../ui/typing";
import { ViewBar } from "../ui/view-bar";
import { BOARD_IN_ADDRESS, openBoard } from "./new-board";
import { EmbedBar, PanelBar, useAbout } from "./panel-bar";
import { SavedMenu, useSavedViews } from "./saved";
import { formatCount, type Media, plural, rowTimeOf, shapeIn, type Shapes, shapesOf, visible } from "../values";

interface PanelProps {
  start: PanelStart & { embed: boolean };
  connection: Connection;
}

interface Opened {
  media: Media;
  column: string;
  y: number;
}

/** How many rows of a table are printed, and the room that its header takes. */
const PRINTED_ROWS = 150;
const HEADER_PX = 100;

function printHeight({ plugin = "Datagrid", plugin_config }: ViewerConfig, rows: number): number {
  if (plugin !== "Datagrid") return 900;
  return HEADER_PX + Math.min(rows, PRINTED_ROWS) * Number(plugin_config?.["row_height"] ?? ROW_HEIGHTS.small);
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
  const [isMissing, setMissing] = useState(false);
  const [error, setError] = useState("");
  const [config, setConfig] = useState<ViewerConfig>({});
  const [rows, setRows] = useState<RowsDetail | null>(null);
  const [row, setRow] = useState<RowAt | null>(null);
  const latestRow = useRef(row);
  latestRow.current = row;
  const [opened, setOpened] = useState<Opened | null>(null);
  /** Whether Perspective's own settings are open. */
  const [isAdvanced, setAdvanced] = useState(false);
  const [chart, setChart] = useState<ChartState | null>(null);
  const about = useAbout(start, isMissing);
  const saved = useSavedViews(name);
  const isNarrow = useNarrow();
  const aggregates = useRef<Promise<Record<string, string>> | null>(null);
  /** The column whose menu is open, and the column that a filter is asked for. */
  const [menu, setMenu] = useState<{ column: string; at: DOMRect } | null>(null);
  const [filtered, setFiltered] = useState<string | null>(null);
  const headers = useRef<HeaderStats | null>(null);
  /** The table that a chart was made of. */
  const before = useRef<ViewerConfig | null>(null);
  /** How many steps the user can undo. */
  const steps = useRef(0);

  const byDefault = () => defaultView(namesOf(shapes.current), shapes.current);
  const keep = (config: ViewerConfig) => {
    setConfig(config);
    if (start.embed) return;
    steps.current += 1;
    void putAddress(config, true);
  };
  const putAddress = (config: ViewerConfig, isStep: boolean) => {
    const { chosen } = saved;
    const isSame = chosen !== null && isSameView(chosen.config, config);
    return putViewInAddress({ config: isSame ? null : config, saved: chosen?.id ?? null, isStep });
  };
  const showSaved = (view: SavedView | null) => {
    saved.choose(view?.id ?? null);
    const config = view ? { ...NOTHING, ...view.config, settings: false } : byDefault();
    before.current = null;
    viewer.current?.set(config);
    keep(config);
  };
  /** Shows changes that were made in the page's own controls. */
  const apply = async (changes: ViewerConfig) => {
    const live = viewer.current;
    if (!live) return;
    aggregates.current ??= aggregatesOf(name);
    const changed = withAggregates({ ...live.save(), ...changes }, await aggregates.current);
    live.set(changed);
    keep(changed);
  };

  useEffect(() => {
    let live: LiveViewer | null = null;
    let isGone = false;
    const learn = async () => {
      shapes.current = shapesOf(await api.schema(name));
    };
    const begin = async () => {
      // Only a link to a saved view waits for the views.
      const views = saved.open().catch(() => null);
      const [linked, view] = await Promise.all([viewInAddress(), savedInAddress() === null ? null : views, learn()]);
      if (isGone || !host.current) return;
      const [, template] = BOARD_IN_ADDRESS.exec(location.hash) ?? [];
      if (template) await openBoard(start, template).catch(toastError);
      const config = linked ?? (view ? { ...NOTHING, ...view.config, settings: false } : byDefault());
      setConfig(config);
      headers.current = new HeaderStats({
        table: tableOf,
        rows: () => rowsOf(viewer.current?.save() ?? config),
        shapes: () => shapes.current,
        onMenu: (column, at) => setMenu({ column, at }),
        onFilter: (filter) => void apply({ filter: [...(viewer.current?.save().filter ?? []), ...filter] }),
      });
      const dress = (element: Viewer) => {
        decorate(element, name, () => shapes.current, {
          ...(headers.current && !start.embed && !matchMedia("(width < 640px)").matches && { headers: headers.current }),
          onMedia: (media, column, y) => setOpened({ media, column, y }),
          onRow: (y) => void openRow(y),
          onChoose: (y) => {
            // Open details follow the chosen row.
            if (latestRow.current) void openRow(y);
          },
          pinned: () => viewer.current?.save().pinned ?? config.pinned ?? [],
          scales: () => viewer.current?.save().scales ?? config.scales ?? {},
          positions,
          onDrawing: (grid, rows) => tail.drawing(grid, rows),
          onDraw: (grid) => tail.drawn(grid),
        });
      };
      live = new LiveViewer(host.current, connection, name, config, {
        onPlugin: dress,
        onDrawn: (before) => {
          if (live?.element) keepPlace(live.element, before);
          setDrawn(true);
        },
        onShown: () => {
          setError("");
          if (live?.element) void dressAgain(live.element).catch(() => undefined);
        },
        onRows: setRows,
        onChange: (config) => {
          // Perspective's own settings leave the aggregates of new groups out.
          if (needsAggregates(config)) void apply(config);
          else keep(config);
        },
        onColumns: async (config) => {
          const before = shapes.current;
          await learn();
          const now = grown(config, before, shapes.current);
          setConfig(now);
          return now;
        },
        onError: (error) => setError(error.message),
      });
      viewer.current = live;
    };
    const wait = async () => {
      try {
        // The list says whether there is a table, without an error for each time that there is none.
        const tables = await api.tables(start.entity, start.project);
        const isThere = tables.some((table) => table.name === name);
        if (isGone) return;
        setMissing(!isThere);
        if (isThere) return await begin();
      } catch (error) {
        if (error instanceof ApiError && error.status > 0) return setError(error.message);
      }
      if (!isGone) setTimeout(() => void wait(), 1_000);
    };
    void wait();
    const back = async () => {
      const view = saved.follow();
      const config = { ...NOTHING, ...((await viewInAddress()) ?? view?.config ?? byDefault()) };
      live?.set(config);
      setConfig(config);
    };
    addEventListener("popstate", back);
    const toggled = (event: Event) => setAdvanced((event as CustomEvent<boolean>).detail);
    host.current?.addEventListener("perspective-toggle-settings", toggled, { capture: true });
    const stops = [
      () => removeEventListener("popstate", back),
      onTheme(() => live?.restyle()),
      tail.onChange(setFollowing),
    ];
    return () => {
      isGone = true;
      for (const stop of stops) stop();
      headers.current?.close();
      live?.close();
    };
  }, [name, connection]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const element = viewer.current?.element;
      if (event.key === "Escape" && element?.hasAttribute("settings") && !document.querySelector("dialog")) {
        void viewer.current?.toggleSettings(false);
        return;
      }
      const isUndo = (event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey;
      if (!isUndo || isTyping(event) || steps.current === 0) return;
      event.preventDefault();
      steps.current -= 1;
      history.back();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const tableOf = async () => {
    const { client } = connection;
    if (!client) throw new Error("the server cannot be reached");
    return client.open_table(name);
  };
  const positions = () => ({ table: tableOf, view: () => rowsOf(viewer.current?.save() ?? {}) });
  const openRow = async (y: number) => {
    try {
      const found = await rowAt(name, positions(), y);
      if (found) setRow(found);
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

  const settings = () => void viewer.current?.toggleSettings();
  const save = () => viewer.current?.save() ?? {};
  const isOwnChart = isDrawn && !isAdvanced && chartKind(config) !== null;
  const showAs = (plugin: string) => {
    const now = save();
    if (plugin === "Datagrid") {
      const { columns, group_by = [], sort = [], aggregates = {} } = before.current ?? now;
      before.current = null;
      return void apply({ plugin, columns: columns ?? [], group_by, sort, aggregates });
    }
    if ((now.plugin ?? "Datagrid") === "Datagrid") before.current = now;
    void apply(prepared(plugin, now, shapes.current));
  };
  const filterBy = (picks: Pick[]) => {
    const { filter = [], expressions = {} } = save();
    const more = picks.flatMap((pick) => pick.filter);
    if (more.length === 0) return;
    const needed = Object.assign({}, ...picks.map((pick) => pick.expressions));
    void apply({ filter: [...filter, ...more], expressions: { ...expressions, ...needed } });
  };
  const scale = async (column: string, kind: Scale["kind"] | null) => {
    try {
      const found = kind && (await readScale(await tableOf(), rowsOf(save()), column, kind));
      if (kind && !found) throw new Error(`${visible(column)} has no numbers`);
      await apply(withScale(save(), column, found));
    } catch (error) {
      toastError(error);
    }
  };
  const zoom = (from: number, to: number) => {
    const time = rowTimeOf(shapes.current);
    const others = (save().filter ?? []).filter(([column]) => column !== time);
    const span: Filter[] = [
      [time, ">=", from],
      [time, "<", to],
    ];
    void apply({ filter: [...others, ...span] });
  };
  const showLabels = () => {
    readLabels(labelsTable(name) ?? "").then((labels) => apply(withLabels(save(), labels))).catch(toastError);
  };
  const hasFilter = (config.filter ?? []).length > 0;
  const names = [...namesOf(shapes.current), ...Object.keys(config.expressions ?? {})].filter((it) => it !== SEARCH);
  return (
    <div class={start.embed ? "page embed" : "page"}>
      {start.embed ? (
        <EmbedBar name={name} start={start} connection={connection} about={about} />
      ) : (
        <PanelBar
          name={name}
          start={start}
          connection={connection}
          about={about}
          isMissing={isMissing}
          isNarrow={isNarrow}
          isPaused={isPaused}
          isFollowing={isFollowing}
          views={
            isDrawn && (
              <SavedMenu
                start={start}
                saved={saved}
                config={config}
                save={save}
                onShow={showSaved}
                onSaved={() => void putAddress(save(), false)}
              />
            )
          }
          save={save}
          onAddress={() => putAddress(save(), false)}
          onPause={pause}
          onFollow={follow}
          onSettings={settings}
          onShow={(config) => viewer.current?.set(config)}
        />
      )}
      {!start.embed && isDrawn && (
        <ViewBar
          config={config}
          names={names}
          shapes={shapes.current}
          rows={(isOwnChart ? chart?.rows : rows?.rows) ?? null}
          total={about?.rows ?? null}
          onChange={(changes) => void apply(changes)}
          onPlugin={showAs}
          onSearch={(text) => {
            if (text !== searchedText(save())) void apply(searched(save(), text, shapes.current));
          }}
        />
      )}
      {isDrawn && !start.embed && !isNarrow && (about?.rows ?? 0) > 0 && (
        <TimeStrip
          table={name}
          connection={connection}
          shapes={shapes.current}
          filter={config.filter ?? []}
          expressions={config.expressions ?? {}}
          overlay={NO_OVERLAY}
          span={null}
          onZoom={zoom}
        />
      )}
      <main class="panel-main" style={{ "--print-height": `${printHeight(config, rows?.rows ?? 0)}px` }}>
        <div class={isOwnChart ? "viewer-host covered" : "viewer-host"} ref={host} data-testid="viewer" />
        {isOwnChart && (
          <div class="own-chart">
            <LiveChart
              id="view"
              title={start.table}
              table={name}
              connection={connection}
              config={bucketed(config, shapes.current)}
              overlay={NO_OVERLAY}
              shapes={shapes.current}
              span={null}
              onPick={filterBy}
              onZoom={zoom}
              onState={setChart}
            />
          </div>
        )}
        {!isDrawn && !isMissing && !error && <Loading what="Opening the table…" />}
        {isMissing && <NoTable name={name} />}
        {isOwnChart && chart?.note.includes("every") && (
          <p class="sample-note" role="status">
            Shows {chart.note}: the table has {formatCount(about?.rows ?? 0)}.
          </p>
        )}
        {!isOwnChart && rows && rows.every > 1 && (
          <p class="sample-note" role="status">
            Shows 1 of every {formatCount(rows.every)} rows: the table has {formatCount(rows.rows)}.
          </p>
        )}
        {isOwnChart && chart?.error && <p class="panel-note error">{chart.error}</p>}
        {isDrawn && (isOwnChart ? chart?.rows : rows?.rows) === 0 && !error && (
          <Cover host={host.current}>
            <p class="cover-columns">
              {(config.columns ?? []).map((column) => (
                <span key={column}>{visible(column ?? "")}</span>
              ))}
            </p>
            {hasFilter ? (
              <p>No row matches the filter: 0 of {plural(about?.rows ?? 0, "row")}</p>
            ) : (
              <>
                <p>No rows yet. They appear here when the first one is logged:</p>
                <HowToLog name={name} />
              </>
            )}
            {hasFilter && <Button label="Clear the filter" kind="primary" onClick={() => void apply({ filter: [], ...(searchedText(config) && searched({ ...config, filter: [] }, "", shapes.current)) })} />}
          </Cover>
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
          <RowDrawer
            at={row}
            onFilter={(filter) => void apply({ filter: [...(save().filter ?? []), filter] })}
            onField={(column, path, json) => {
              void apply(withField(save(), namesOf(shapes.current), column, path, json));
              toast(`${visible(fieldName(column, path))} is a column now`);
            }}
            writes={start.writes}
            onLabel={() => {
              if (LABEL in (save().expressions ?? {})) showLabels();
            }}
            {...(LABEL in (config.expressions ?? {}) ? {} : { onLabels: showLabels })}
            onMove={setRow}
            onClose={() => setRow(null)}
          />
        )}
      </main>
      {menu && (
        <HeaderMenu
          key={menu.column}
          {...menu}
          config={save()}
          shape={shapeIn(shapes.current, menu.column)}
          stats={headers.current?.of(menu.column) ?? null}
          onChange={(changes) => void apply(changes)}
          onChart={(changes) => {
            before.current = save();
            void apply(changes);
          }}
          onScale={(kind) => void scale(menu.column, kind)}
          onFilter={() => setFiltered(menu.column)}
          onClose={() => setMenu(null)}
        />
      )}
      {filtered !== null && (
        <FilterDialog
          names={[filtered, ...names.filter((it) => it !== filtered)]}
          shapes={shapes.current}
          filter={null}
          onDone={(filter) => {
            void apply({ filter: [...(save().filter ?? []), filter] });
            setFiltered(null);
          }}
          onClose={() => setFiltered(null)}
        />
      )}
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
