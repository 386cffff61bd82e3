// The bar of a table's panel: its state, and the tools for the whole view.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, panelLink, type TableSummary } from "../api";
import { ROW_HEIGHTS, type RowSize } from "../grid/defaults";
import type { Connection } from "../live/connection";
import type { ViewerConfig } from "../live/perspective";
import { newMonitorLink } from "../monitors/alert";
import type { PanelStart } from "../start";
import { Bar, FrameBar, trailOf } from "../ui/bar";
import { Button } from "../ui/button";
import { ConnectionMark } from "../ui/connection";
import { ExportMenu, exports } from "../ui/export";
import { Menu, type MenuItem } from "../ui/menu";
import { toast } from "../ui/toast";
import { formatAgo, plural } from "../values";
import { NewBoardMenu } from "./new-board";

interface PanelBarProps {
  name: string;
  start: PanelStart;
  connection: Connection;
  about: TableSummary | null;
  /** Whether there is no table yet. */
  isMissing: boolean;
  isNarrow: boolean;
  isPaused: boolean;
  isFollowing: boolean;
  /** The menu of the saved views. */
  views: ComponentChildren;
  save(): ViewerConfig;
  /** Called to write the view into the address. */
  onAddress(): Promise<void>;
  onPause(): void;
  onFollow(): void;
  onSettings(): void;
  /** Called with a configuration to show. */
  onShow(config: ViewerConfig): void;
}

export function PanelBar(props: PanelBarProps) {
  const { name, start, connection, about, isMissing, isNarrow, isPaused, save } = props;
  return (
    <Bar trail={[...trailOf(start.entity, start.project), { text: start.table }]}>
      <ConnectionMark connection={connection} isPaused={isPaused} />
      {about && <Facts about={about} />}
      {!isMissing && !isNarrow && (
        <>
          <Button
            icon={isPaused ? "play" : "pause"}
            label={isPaused ? "Resume" : "Pause"}
            bare
            pressed={isPaused}
            onClick={props.onPause}
          />
          <Button icon="tail" label="Follow newest rows" bare pressed={props.isFollowing} onClick={props.onFollow} />
          <Menu icon="row" label="Row height" bare items={heights(props)} />
          <Button icon="settings" label="Advanced settings" bare onClick={props.onSettings} />
          <ExportMenu name={name} connection={connection} save={save} />
          <Button icon="link" label="Copy link to this view" bare onClick={() => void copyLink(props)} />
          {props.views}
          {start.writes && <Button icon="bell" label="New monitor" bare onClick={() => location.assign(newMonitorLink({ table: name }))} />}
          {start.writes && <NewBoardMenu start={start} save={save} />}
        </>
      )}
      {!isMissing && isNarrow && (
        <>
        {props.views}
        <Menu
          icon="more"
          label="More"
          bare
          items={[
            { label: isPaused ? "Resume" : "Pause", icon: isPaused ? "play" : "pause", onSelect: props.onPause },
            { label: "Follow newest rows", icon: "tail", onSelect: props.onFollow },
            ...(start.writes
              ? [{ label: "New monitor…", icon: "bell" as const, onSelect: () => location.assign(newMonitorLink({ table: name })) }]
              : []),
            { label: "Copy link to this view", icon: "link", onSelect: () => void copyLink(props) },
            ...heights(props),
            ...exports({ name, connection, save }),
          ]}
        />
        </>
      )}
    </Bar>
  );
}

async function copyLink({ onAddress }: PanelBarProps): Promise<void> {
  await onAddress();
  await navigator.clipboard.writeText(location.href);
  toast("The link to this view is copied");
}

const ABOUT_MS = 1_000;

/** Follows the number of rows of a table. */
export function useAbout({ entity, project, table }: PanelStart, isMissing: boolean): TableSummary | null {
  const [about, setAbout] = useState<TableSummary | null>(null);
  useEffect(() => {
    if (isMissing) return;
    const ask = () => {
      if (document.hidden) return;
      api.tables(entity, project).then(
        (tables) => setAbout(tables.find((it) => it.table === table) ?? null),
        () => undefined,
      );
    };
    ask();
    const timer = setInterval(ask, ABOUT_MS);
    return () => clearInterval(timer);
  }, [entity, project, table, isMissing]);
  return about;
}

/** How many rows a table has, and when the last one came. */
function Facts({ about }: { about: TableSummary }) {
  return (
    <span class="facts" data-testid="facts">
      <b>{plural(about.rows, "row")}</b>
      <span title={about.last_write}>{formatAgo(new Date(about.last_write))}</span>
    </span>
  );
}

function heights({ save, onShow }: PanelBarProps): MenuItem[] {
  const set = (size: RowSize) => {
    const config = save();
    onShow({ ...config, plugin_config: { ...config.plugin_config, row_height: ROW_HEIGHTS[size] } });
  };
  return [
    { label: "Small rows", onSelect: () => set("small") },
    { label: "Medium rows", onSelect: () => set("medium") },
    { label: "Large rows", onSelect: () => set("large") },
  ];
}

interface EmbedBarProps {
  name: string;
  start: PanelStart;
  connection: Connection;
  about: TableSummary | null;
}

export function EmbedBar({ name, start, connection, about }: EmbedBarProps) {
  return (
    <FrameBar name={name} href={panelLink(start.entity, start.project, start.table)}>
      <ConnectionMark connection={connection} />
      {about && <Facts about={about} />}
    </FrameBar>
  );
}
