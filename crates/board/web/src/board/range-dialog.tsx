// A range between two instants, in the reader's time zone.

import { useRef } from "preact/hooks";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import type { Range } from "./document";
import { lengthOf } from "./range";

interface RangeDialogProps {
  range: Range | null;
  onDone(range: Range): void;
  onClose(): void;
}

export function RangeDialog({ range, onDone, onClose }: RangeDialogProps) {
  const form = useRef<HTMLFormElement>(null);
  const now = Date.now();
  const from = range?.from ? Date.parse(range.from) : now - (lengthOf(range?.last ?? "1h") ?? 0);
  const to = range?.to ? Date.parse(range.to) : now;
  const done = () => {
    const data = new FormData(form.current ?? undefined);
    const [start, end] = ["from", "to"].map((name) => new Date(String(data.get(name)))) as [Date, Date];
    // The order in which they are given does not matter.
    const [first, last] = start <= end ? [start, end] : [end, start];
    onDone({ from: first.toISOString(), to: last.toISOString() });
  };
  return (
    <Dialog title="Range" onClose={onClose}>
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          done();
        }}
      >
        <label class="field">
          <span>From</span>
          <input type="datetime-local" name="from" step="1" required autofocus defaultValue={local(from)} />
        </label>
        <label class="field">
          <span>To</span>
          <input type="datetime-local" name="to" step="1" required defaultValue={local(to)} />
        </label>
        <p class="hint">Times are those of your time zone.</p>
        <footer>
          <Button label="Cancel" onClick={onClose} />
          <button type="submit" class="button primary">
            Show it
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** Writes an instant as the field for local times takes it. */
export function local(at: number): string {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
