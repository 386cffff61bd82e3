// The earlier versions of a board.

import { useEffect, useState } from "preact/hooks";
import { api, type BoardSummary } from "../api";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Loading } from "../ui/state";
import { toastError } from "../ui/toast";
import { formatAgo } from "../values";
import type { BoardDocument } from "./document";

interface VersionsProps {
  board: [entity: string, project: string, name: string];
  /** Called with the document of the chosen version; it is not saved yet. */
  onShow(document: Partial<BoardDocument>): void;
  onClose(): void;
}

export function Versions({ board, onShow, onClose }: VersionsProps) {
  const [versions, setVersions] = useState<BoardSummary[] | null>(null);
  useEffect(() => {
    api.versions(...board).then(setVersions, toastError);
  }, []);
  const show = async (version: number) => {
    try {
      onShow((await api.board(...board, version)).document);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <Dialog title="History of the board" onClose={onClose}>
      {!versions && <Loading what="Loading the versions…" />}
      <ol class="versions">
        {versions?.map((it, i) => (
          <li key={it.version}>
            <span>
              Version {it.version}
              <small>
                {formatAgo(new Date(it.updated))}
                {it.author ? ` by ${it.author}` : ""}
              </small>
            </span>
            {i === 0 ? <small>the newest</small> : <Button label="Show" onClick={() => void show(it.version)} />}
          </li>
        ))}
      </ol>
      <p class="hint">A version that you show becomes the board's when you save it.</p>
    </Dialog>
  );
}
