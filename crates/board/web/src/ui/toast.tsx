import { useEffect, useState } from "preact/hooks";

interface Note {
  id: number;
  text: string;
  isError: boolean;
}

const SHOWN_MS = 4_000;
let next = 0;
let show: ((note: Note) => void) | null = null;

/** Shows a message for some seconds. */
export function toast(text: string): void {
  show?.({ id: next++, text, isError: false });
}

export function toastError(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  show?.({ id: next++, text: text.charAt(0).toUpperCase() + text.slice(1), isError: true });
}

export function Toasts() {
  const [notes, setNotes] = useState<Note[]>([]);
  useEffect(() => {
    show = (note) => {
      setNotes((notes) => [...notes.slice(-3), note]);
      setTimeout(() => setNotes((notes) => notes.filter((it) => it !== note)), SHOWN_MS);
    };
    return () => {
      show = null;
    };
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {notes.map((note) => (
        <div key={note.id} class={note.isError ? "toast error" : "toast"}>
          {note.text}
        </div>
      ))}
    </div>
  );
}
