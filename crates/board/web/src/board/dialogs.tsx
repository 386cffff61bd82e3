// Dialogs of a board.

import { type ApiError, path } from "../api";
import type { BoardStart } from "../start";
import { Bar, trailOf } from "../ui/bar";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { State } from "../ui/state";
import { formatAgo } from "../values";

/** The version that another user saved. */
export interface Theirs {
  author?: string;
  updated?: string;
}

interface ConflictProps {
  /** The kind of document that was saved. */
  noun: "board" | "monitor";
  theirs: Theirs;
  onShow(): void;
  /** Called to save a copy; without it, that is not offered. */
  onCopy?(): void;
  onOverwrite(): void;
  onClose(): void;
}

export function ConflictDialog({ noun, theirs, onShow, onCopy, onOverwrite, onClose }: ConflictProps) {
  return (
    <Dialog
      title={`Somebody else saved this ${noun}`}
      onClose={onClose}
      actions={
        <>
          <Button label="Show theirs" onClick={onShow} />
          {onCopy && <Button label="Save as a copy…" onClick={onCopy} />}
          <Button label="Save over theirs" kind="danger" onClick={onOverwrite} />
        </>
      }
    >
      <p>
        {theirs.author ? <b>{theirs.author}</b> : "Somebody"} saved a newer version
        {theirs.updated ? ` ${formatAgo(new Date(theirs.updated))}` : ""}, while you changed yours. Nothing is
        lost: {noun === "board" ? "More → History has the earlier versions." : "the server keeps the earlier versions."}
      </p>
    </Dialog>
  );
}

interface DeleteProps {
  title: string;
  onDelete(): void;
  onClose(): void;
}

export function DeleteDialog({ title, onDelete, onClose }: DeleteProps) {
  return (
    <Dialog
      title="Delete this board?"
      onClose={onClose}
      actions={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button label="Delete" kind="danger" onClick={onDelete} />
        </>
      }
    >
      <p>
        <b>{title}</b> is deleted for everybody. The rows that it shows stay.
      </p>
    </Dialog>
  );
}

/** The page of a board that cannot be opened. */
export function Missing({ start, error }: { start: BoardStart; error: ApiError }) {
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
