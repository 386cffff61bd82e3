// New boards of a table.

import { useState } from "preact/hooks";
import { api, boardLink, type Template } from "../api";
import { freeName } from "../board/document";
import { rolesOf } from "../board/roles";
import { shapesOfTable } from "../board/shapes";
import { TEMPLATES } from "../board/templates";
import { newBoardHash } from "../link";
import type { ViewerConfig } from "../live/perspective";
import type { PanelStart } from "../start";
import { Menu } from "../ui/menu";
import { toastError } from "../ui/toast";

/** Goes to a new board of a table, which is saved when the user saves it. */
async function makeBoard(start: PanelStart, template: string, config?: ViewerConfig): Promise<void> {
  const { entity, project, table } = start;
  const taken = await api.boards(entity, project);
  const board = freeName(table, taken.map((it) => it.name));
  const made = { table: `${entity}/${project}/${table}`, template, ...(config && { config }) };
  location.assign(boardLink(entity, project, board) + (await newBoardHash(made)));
}

/** The part of a link that opens a table's board, or a new one if there is none. */
export const BOARD_IN_ADDRESS = /^#board=(overview|monitoring|service|training|llm|dataset)$/;

export async function openBoard(start: PanelStart, template: string): Promise<void> {
  const { entity, project, table } = start;
  const made = { table: `${entity}/${project}/${table}`, template };
  const hash = start.writes ? await newBoardHash(made) : "";
  const boards = await api.boards(entity, project);
  const isThere = boards.some((board) => board.name === table);
  if (isThere || hash) location.replace(boardLink(entity, project, table) + (isThere ? "" : hash));
}

export function NewBoardMenu({ start, save }: { start: PanelStart; save(): ViewerConfig }) {
  const [templates, setTemplates] = useState<Template[]>([]);
  const name = `${start.entity}/${start.project}/${start.table}`;
  const load = async () => {
    const [{ templates }, shapes] = await Promise.all([api.templates(name), shapesOfTable(name)]);
    const roles = rolesOf(shapes);
    const own = TEMPLATES.map(({ name, title, about, unfit }) => ({ name, title, about, reason: unfit(roles) }));
    setTemplates([...templates, ...own.map((it) => ({ ...it, fits: it.reason === null }))]);
  };
  const make = (template: string, config?: ViewerConfig) =>
    makeBoard(start, template, config).catch(toastError);
  return (
    <Menu
      icon="board"
      label="New board"
      onOpen={() => void load().catch(toastError)}
      items={[
        ...[...templates].sort((a, b) => Number(b.fits) - Number(a.fits)).map(({ name, title, about, fits, reason }) => ({
          label: title,
          hint: fits ? about : (reason ?? ""),
          disabled: !fits,
          onSelect: () => void make(name),
        })),
        { label: "From this view", hint: "what is shown now", onSelect: () => void make("view", save()) },
      ]}
    />
  );
}
