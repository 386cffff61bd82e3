// The bar of a board: its range and state, and the tools that change it.

import { boardLink } from "../api";
import type { BoardDocument, Range } from "../board/document";
import { RANGES, rangeLabel } from "../board/range";
import type { Connection } from "../live/connection";
import type { BoardStart } from "../start";
import type { Theme } from "../theme";
import { Bar, FrameBar, trailOf } from "../ui/bar";
import { Button } from "../ui/button";
import { ConnectionMark } from "../ui/connection";
import { Menu, type MenuItem } from "../ui/menu";
import { printPage } from "../print";
import { toast } from "../ui/toast";

const READ_ONLY = "Your key may read this board. It may not change anything on the server.";

/** The themes of a board; a reader's own choice takes precedence. */
const THEMES: [Theme, string][] = [
  ["auto", "As the reader's system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** A dialog that the bar opens. */
export type Asked = "range" | "events" | "variables" | "rename" | "save-as" | "delete" | "conflict" | "add" | "versions" | null;

interface BoardBarProps {
  start: BoardStart;
  connection: Connection;
  document: BoardDocument;
  /** The range that is shown, which need not be the board's own. */
  range: Range | null;
  isPaused: boolean;
  /** Whether there are changes to save. */
  isDirty: boolean;
  /** Whether the board was never saved. */
  isUnsaved: boolean;
  isNarrow: boolean;
  isEditing: boolean;
  steps: { canUndo: boolean; canRedo: boolean; go(direction: "undo" | "redo"): void };
  onRange(range: Range | null): void;
  onPause(): void;
  onEdit(): void;
  onSave(): void;
  onChange(edit: (document: BoardDocument) => BoardDocument): void;
  onAsk(asked: Asked): void;
}

export function BoardBar(props: BoardBarProps) {
  const { start, connection, document, isPaused, isDirty, isNarrow, steps, onAsk } = props;
  const { entity, project, board } = start;
  return (
    <Bar trail={[...trailOf(entity, project), { text: document.title || board }]}>
      <ConnectionMark connection={connection} isPaused={isPaused} />
      {isDirty && <span class="unsaved">not saved</span>}
      <Menu label={rangeLabel(props.range)} items={ranges(props)} />
      <Button
        icon={isPaused ? "play" : "pause"}
        label={isPaused ? "Resume" : "Pause"}
        bare
        pressed={isPaused}
        onClick={props.onPause}
      />
      {start.writes && isNarrow ? (
        isDirty && <Button icon="save" label="Save" kind="primary" onClick={props.onSave} />
      ) : start.writes ? (
        <>
          <Button icon="edit" label="Edit layout" bare pressed={props.isEditing} onClick={props.onEdit} />
          <Button icon="add" label="Add a panel" bare onClick={() => onAsk("add")} />
          <Button icon="undo" label="Undo" bare disabled={!steps.canUndo} onClick={() => steps.go("undo")} />
          <Button icon="redo" label="Redo" bare disabled={!steps.canRedo} onClick={() => steps.go("redo")} />
          <Button
            icon="save"
            label="Save"
            kind={isDirty ? "primary" : "plain"}
            disabled={!isDirty}
            onClick={props.onSave}
          />
        </>
      ) : (
        <span class="read-only" title={READ_ONLY}>
          read only
        </span>
      )}
      <Menu icon="more" label="More" bare items={more(props)} />
    </Bar>
  );
}

function ranges({ range, onRange, onAsk }: BoardBarProps): MenuItem[] {
  const isFixed = Boolean(range?.from || range?.to);
  return [
    ...[null, ...RANGES].map((last) => ({
      label: rangeLabel(last ? { last } : null),
      isChecked: (range?.last ?? null) === last && !isFixed,
      onSelect: () => onRange(last ? { last } : null),
    })),
    { label: "From … to …", isChecked: isFixed, onSelect: () => onAsk("range") },
  ];
}

function more(props: BoardBarProps): MenuItem[] {
  const { start, document, range, isPaused, onChange, onAsk } = props;
  const ofWriter = (items: MenuItem[]) => (start.writes ? items : []);
  const isKept =
    JSON.stringify(range) === JSON.stringify(document.range) && isPaused === (document.refresh === "paused");
  return [
    ...ofWriter(props.isNarrow ? toolsOfPhone(props) : []),
    ...ofWriter([
      {
        label: "Keep range and pause",
        hint: "as the board's own",
        icon: "check",
        disabled: isKept,
        onSelect: () => onChange((it) => ({ ...it, range, refresh: isPaused ? "paused" : "live" })),
      },
      { label: "History…", icon: "undo", disabled: props.isUnsaved, onSelect: () => onAsk("versions") },
      { label: "Variables…", icon: "settings", onSelect: () => onAsk("variables") },
      { label: "Events on charts…", icon: "flag", onSelect: () => onAsk("events") },
      { label: "Save as…", icon: "copy", onSelect: () => onAsk("save-as") },
      { label: "Rename…", icon: "edit", onSelect: () => onAsk("rename") },
    ]),
    {
      label: "Copy link",
      icon: "link",
      onSelect: () => void navigator.clipboard.writeText(location.href).then(() => toast("The link is copied")),
    },
    {
      label: "Copy embed code",
      hint: "for the page of somebody who is logged in",
      icon: "external",
      onSelect: () => void navigator.clipboard.writeText(embedCode(start)).then(() => toast("The code is copied")),
    },
    { label: "Print…", icon: "page", onSelect: () => void printPage() },
    { label: "Download as JSON", icon: "download", onSelect: () => download(start.board, document) },
    ...ofWriter([
      ...THEMES.map(([theme, label], i) => ({
        label,
        heading: i === 0 ? "Colours of this board" : undefined,
        isChecked: document.theme === theme,
        onSelect: () => onChange((it) => ({ ...it, theme })),
      })),
      { label: "Delete…", icon: "trash", isDanger: true, onSelect: () => onAsk("delete") },
    ]),
  ];
}

/** Returns the HTML of a frame with the board, as it is looked at now. */
function embedCode({ entity, project, board }: BoardStart): string {
  const address = `${location.origin}/embed?board=${encodeURIComponent(`${entity}/${project}/${board}`)}${location.hash}`;
  return `<iframe src="${address.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}" width="100%" height="700"></iframe>`;
}

/** The tools for which the bar of a phone has no room. */
function toolsOfPhone({ steps, onAsk }: BoardBarProps): MenuItem[] {
  return [
    { label: "Add a panel…", icon: "add", onSelect: () => onAsk("add") },
    { label: "Undo", icon: "undo", disabled: !steps.canUndo, onSelect: () => steps.go("undo") },
  ];
}

function download(name: string, board: BoardDocument): void {
  const blob = new Blob([JSON.stringify(board, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.board.json`;
  link.click();
}

interface EmbedBarProps {
  start: BoardStart;
  connection: Connection;
  title: string;
  isPaused: boolean;
}

/** The bar of a board in a frame of another page. */
export function EmbedBar({ start, connection, title, isPaused }: EmbedBarProps) {
  // With the range, or what a board that is not saved is made of.
  const href = boardLink(start.entity, start.project, start.board) + location.hash;
  return (
    <FrameBar name={title || start.board} href={href}>
      <ConnectionMark connection={connection} isPaused={isPaused} />
    </FrameBar>
  );
}
