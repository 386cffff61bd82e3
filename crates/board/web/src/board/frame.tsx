// A panel's frame: its title and menu, and moving and sizing it.

import { useEffect, useRef, useState } from "preact/hooks";
import { panelLink } from "../api";
import type { Connection } from "../live/connection";
import type { RowAt } from "../grid/walk";
import { NO_OVERLAY, type Overlay, overlaid } from "../live/overlay";
import type { LiveViewer } from "../live/viewer";
import { Button } from "../ui/button";
import { Ask, Dialog } from "../ui/dialog";
import { plural } from "../values";
import { ExportMenu } from "../ui/export";
import { Icon } from "../ui/icon";
import { monitorOf, newMonitorLink } from "../monitors/alert";
import { QueryDialog } from "../parts";
import { Menu, type MenuItem } from "../ui/menu";
import type { PanelDocument, Place, Range } from "./document";
import { COLUMNS, GAP_PX, ROW_PX } from "./layout";
import { FIRST_ROWS } from "./drift";
import { PanelBody } from "./panels";
import type { Pick } from "./picks";

interface BoardPanelProps {
  panel: PanelDocument;
  connection: Connection;
  /** The entity and the project of the board. */
  home: [string, string];
  /** Null until it is known. */
  overlay: Overlay | null;
  former: Overlay | null;
  timeless: Overlay | null;
  range: Range | null;
  span: [number, number | null] | null;
  variables: Record<string, string>;
  hasPicks: boolean;
  /** Whether the reader may save the board. */
  writes: boolean;
  isEditing: boolean;
  /** Whether the panel was just added. */
  isNew: boolean;
  onPlace(layout: Place): void;
  onChange(edit: (panel: PanelDocument) => PanelDocument): void;
  onCopy(): void;
  onRemove(): void;
  onRow(row: RowAt): void;
  onPick(picks: Pick[]): void;
  onClearPicks(): void;
  onZoom(from: number, to: number): void;
}

const ARROWS: Record<string, [number, number]> = {
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
};

export function BoardPanel(props: BoardPanelProps) {
  const { panel, isEditing, onPlace, onChange } = props;
  const root = useRef<HTMLElement>(null);
  const viewer = useRef<LiveViewer | null>(null);
  const [asked, setAsked] = useState<"title" | "text" | "query" | null>(null);
  const [isLarge, setLarge] = useState(false);
  const [isAdvanced, setAdvanced] = useState(false);
  const [draft, setDraft] = useState<Place | null>(null);
  const [note, setNote] = useState("");
  useEffect(() => {
    if (props.isNew) root.current?.scrollIntoView({ block: "center", behavior: "smooth" });
  }, [props.isNew]);
  const { x, y, w, h } = draft ?? panel.layout;

  /** Follows the pointer in steps of the grid, and places the panel at the end. */
  const drag = (event: PointerEvent, isSize: boolean) => {
    const grid = root.current?.parentElement;
    if (!isEditing || isLarge || !grid || event.button !== 0) return;
    event.preventDefault();
    const target = event.currentTarget as HTMLElement;
    target.setPointerCapture(event.pointerId);
    const from = { x: event.clientX, y: event.clientY };
    const column = (grid.clientWidth + GAP_PX) / COLUMNS;
    let to = panel.layout;
    const move = (event: PointerEvent) => {
      const dx = Math.round((event.clientX - from.x) / column);
      const dy = Math.round((event.clientY - from.y) / (ROW_PX + GAP_PX));
      to = shifted(panel.layout, dx, dy, isSize);
      setDraft(to);
    };
    const end = () => {
      target.removeEventListener("pointermove", move);
      setDraft(null);
      onPlace(to);
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = ARROWS[event.key];
    if (event.key === "Escape" && isLarge) void resize(false);
    if (!isEditing || !step || event.target !== event.currentTarget) return;
    event.preventDefault();
    onPlace(shifted(panel.layout, step[0], step[1], event.shiftKey));
  };

  /** A viewer's settings need more room than a panel has. */
  const resize = async (isLarge: boolean) => {
    setLarge(isLarge);
    if (isLarge) return;
    setAdvanced(false);
    await viewer.current?.toggleSettings(false);
  };
  const configure = async () => {
    setLarge(true);
    setAdvanced(true);
    await viewer.current?.toggleSettings(true);
  };

  /** Returns the configuration on the screen. */
  const shown = () => overlaid(viewer.current?.save() ?? panel.config, props.overlay ?? NO_OVERLAY);

  const ofWriter = (items: MenuItem[]) => (props.writes ? items : []);
  const items: MenuItem[] = [
    ...ofWriter([{ label: "Title…", icon: "edit", onSelect: () => setAsked("title") }]),
    ...ofWriter(alertItems(panel)),
    ...menuOfKind(panel, props.writes, onChange, setAsked, () => void configure()),
    { label: isLarge ? "Shrink" : "Expand", icon: "external", onSelect: () => void resize(!isLarge) },
    ...ofWriter([
      { label: "Copy", icon: "copy", onSelect: props.onCopy },
      { label: "Remove", icon: "trash", isDanger: true, onSelect: props.onRemove },
    ]),
  ];
  const hasViewer = panel.kind === "grid" || panel.kind === "chart";
  return (
    <section
      ref={root}
      class={`board-panel kind-${panel.kind} ${draft ? "moving" : ""} ${isLarge ? "large" : ""} ${props.isNew ? "new" : ""}`}
      style={{
        gridColumn: `${x + 1} / span ${w}`,
        gridRow: `${y + 1} / span ${h}`,
      }}
      aria-label={panel.title}
      data-panel={panel.id}
    >
      <header
        tabIndex={isEditing ? 0 : undefined}
        aria-label={isEditing ? `${panel.title}: arrows move it, Shift and arrows size it` : undefined}
        onPointerDown={(event) => {
          if (!(event.target as Element).closest("button, .menu")) drag(event, false);
        }}
        onKeyDown={onKeyDown}
      >
        <h2 title={panel.title}>
          <bdi>{panel.title}</bdi> {note && <small>{note}</small>}
        </h2>
        {hasViewer && panel.table && (
          <ExportMenu name={panel.table} connection={props.connection} save={shown} />
        )}
        {isLarge && (
          <Button icon="close" label="Shrink" bare onClick={() => void resize(false)} />
        )}
        <Menu icon="more" label={`Menu of ${panel.title}`} bare items={items} />
      </header>
      <div class="board-panel-body">
        {props.overlay && props.timeless && (
          <PanelBody
            panel={panel}
            connection={props.connection}
            home={props.home}
            overlay={props.overlay}
            former={props.former}
            timeless={props.timeless}
            range={props.range}
            span={props.span}
            variables={props.variables}
            hasPicks={props.hasPicks}
            isLarge={isLarge}
            isAdvanced={isAdvanced}
            onChange={(config) => onChange((it) => ({ ...it, config }))}
            onRow={props.onRow}
            onPick={props.onPick}
            onClearPicks={props.onClearPicks}
            onZoom={props.onZoom}
            onNote={setNote}
            onViewer={(it) => {
              viewer.current = it;
              if (isAdvanced) void it?.toggleSettings(true);
            }}
          />
        )}
      </div>
      {isEditing && !isLarge && (
        <div class="size-handle" onPointerDown={(event) => drag(event, true)} aria-hidden="true" />
      )}
      {asked === "title" && (
        <Ask
          title="Title of the panel"
          label="Title"
          value={panel.title}
          action="Set it"
          onDone={(title) => {
            onChange((it) => ({ ...it, title }));
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "query" && (
        <QueryDialog
          query={{ sql: panel.config.sql ?? "", show: panel.config.show ?? "table" }}
          onDone={(query) => {
            onChange((it) => ({ ...it, config: { ...it.config, ...query } }));
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "text" && (
        <TextDialog
          text={panel.config.text ?? ""}
          onDone={(text) => {
            onChange((it) => ({ ...it, config: { ...it.config, text } }));
            setAsked(null);
          }}
          onClose={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function shifted(place: Place, dx: number, dy: number, isSize: boolean): Place {
  return isSize
    ? { ...place, w: Math.min(COLUMNS - place.x, Math.max(2, place.w + dx)), h: Math.max(2, place.h + dy) }
    : {
        ...place,
        x: Math.min(COLUMNS - place.w, Math.max(0, place.x + dx)),
        y: Math.max(0, place.y + dy),
      };
}

/** Offers a monitor of a figure, if a monitor can have it. */
function alertItems({ kind, table, title, config }: PanelDocument): MenuItem[] {
  const made = table !== undefined && (kind === "chart" || kind === "stat") ? monitorOf(table, title, config) : null;
  return made ? [{ label: "Alert on this…", icon: "bell", onSelect: () => location.assign(newMonitorLink(made)) }] : [];
}

function menuOfKind(
  panel: PanelDocument,
  writes: boolean,
  onChange: BoardPanelProps["onChange"],
  onAsk: (asked: "text" | "query") => void,
  onConfigure: () => void,
): MenuItem[] {
  const items: MenuItem[] = [];
  if (panel.kind === "text" && writes) {
    items.push({ label: "Edit text…", icon: "edit", onSelect: () => onAsk("text") });
  }
  if (panel.kind === "sql" && writes) {
    items.push({ label: "Query…", icon: "edit", onSelect: () => onAsk("query") });
  }
  if (panel.kind === "drift" && writes) {
    const { reference, ...config } = panel.config;
    const first = { label: `Compare with the first ${plural(FIRST_ROWS, "row")}`, config: { ...config, reference: FIRST_ROWS } };
    const former = { label: "Compare with the former period", config };
    const { label, config: changed } = reference === undefined ? first : former;
    items.push({ label, icon: "undo", onSelect: () => onChange((it) => ({ ...it, config: changed })) });
  }
  if (panel.kind === "grid" || panel.kind === "chart") {
    items.push({
      label: "Advanced…",
      hint: "all settings of the view",
      icon: "settings",
      onSelect: onConfigure,
    });
  }
  const [entity, project, table] = panel.table?.split("/") ?? [];
  if (entity && project && table) {
    items.push({
      label: "Open the table",
      icon: "external",
      onSelect: () => open(panelLink(entity, project, table), "_blank", "noopener"),
    });
  }
  return items;
}

function TextDialog({ text, onDone, onClose }: { text: string; onDone(text: string): void; onClose(): void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  return (
    <Dialog
      title="Text"
      onClose={onClose}
      actions={
        <>
          <button type="button" class="button plain" onClick={onClose}>
            Cancel
          </button>
          <button type="button" class="button primary" onClick={() => onDone(area.current?.value ?? "")}>
            <Icon name="check" />
            <span>Set it</span>
          </button>
        </>
      }
    >
      <label class="field">
        <span>Markdown</span>
        <textarea ref={area} rows={12} defaultValue={text} autofocus />
      </label>
    </Dialog>
  );
}
