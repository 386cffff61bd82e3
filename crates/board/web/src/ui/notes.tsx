// The label of a row, and the comments on it, in its details.

import { useEffect, useRef, useState } from "preact/hooks";
import { formatAgo, visible } from "../values";
import { Button } from "./button";
import { addNote, labelOf, labelsTable, type Note, readLabels, readNotes } from "./labels";
import { toastError } from "./toast";

/** The longest label and the longest comment, in characters. */
const LONGEST_LABEL = 60;
const LONGEST_COMMENT = 2_000;

interface RowNotesProps {
  table: string;
  position: number;
  /** Whether the reader may add notes. */
  writes: boolean;
  /** Called after a change of a label. */
  onLabel?: (() => void) | undefined;
  /** Called to show the labels as a column; without it, that is not offered. */
  onColumn?: (() => void) | undefined;
}

export function RowNotes({ table, position, writes, onLabel, onColumn }: RowNotesProps) {
  const labels = labelsTable(table);
  const [notes, setNotes] = useState<Note[] | null>(null);
  const [known, setKnown] = useState<string[]>([]);
  const [isBusy, setBusy] = useState(false);
  const shown = useRef("");
  shown.current = `${table} ${position}`;
  const load = async () => {
    if (labels === null) return;
    const found = await readNotes(labels, position);
    // The reader may have gone on to another row.
    if (shown.current === `${table} ${position}`) setNotes(found);
  };
  useEffect(() => {
    setNotes(null);
    // Somebody who may read rows may read their labels, so a failure is one of the connection.
    load().catch(() => undefined);
  }, [table, position]);
  if (labels === null || notes === null || (!writes && notes.length === 0)) return null;
  const label = labelOf(notes);
  const add = async (note: Pick<Note, "label" | "comment">) => {
    setBusy(true);
    try {
      await addNote(labels, position, note);
      await load();
      if (note.label !== null) onLabel?.();
    } catch (error) {
      toastError(error);
    }
    setBusy(false);
  };
  const submit = (event: SubmitEvent, name: "label" | "comment") => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const text = String(new FormData(form).get(name) ?? "").trim();
    if (text === "" || isBusy) return;
    form.reset();
    void add({ label: null, comment: null, [name]: text });
  };
  const suggest = () => {
    readLabels(labels).then((all) => setKnown([...new Set(all.map(([, label]) => label))].sort()), () => undefined);
  };
  return (
    <section class="notes" aria-label="Label and comments">
      <div class="notes-label">
        {label !== "" && (
          <span class="chip">
            <bdi>{visible(label)}</bdi>
            {writes && <Button icon="close" label={`Remove the label ${label}`} bare disabled={isBusy} onClick={() => void add({ label: "", comment: null })} />}
          </span>
        )}
        {writes && (
          <form onSubmit={(event) => submit(event, "label")}>
            <input name="label" aria-label="Label" placeholder={label === "" ? "Label this row…" : "Another label…"} maxLength={LONGEST_LABEL} list="known-labels" autocomplete="off" onFocus={suggest} />
            <datalist id="known-labels">
              {known.map((it) => (
                <option key={it} value={it} />
              ))}
            </datalist>
          </form>
        )}
        {onColumn && <Button label="Show labels as a column" onClick={onColumn} />}
      </div>
      {notes.some(({ comment }) => comment !== null) && (
        <ul>
          {notes.map(
            ({ comment, at }, i) =>
              comment !== null && (
                <li key={i}>
                  <bdi>{visible(comment)}</bdi> <small title={at}>{formatAgo(new Date(at))}</small>
                </li>
              ),
          )}
        </ul>
      )}
      {writes && (
        <form onSubmit={(event) => submit(event, "comment")}>
          <input name="comment" aria-label="Comment" placeholder="Comment…" maxLength={LONGEST_COMMENT} autocomplete="off" />
        </form>
      )}
    </section>
  );
}
