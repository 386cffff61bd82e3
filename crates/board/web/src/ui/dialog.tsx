import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button";

interface DialogProps {
  title: string;
  onClose(): void;
  children: ComponentChildren;
  actions?: ComponentChildren;
  wide?: boolean;
}

/** A dialog above the page: Escape or a click beside it closes it, and the focus returns. */
export function Dialog({ title, onClose, children, actions, wide }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : ""}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <Button icon="close" label="Close" bare onClick={onClose} />
        </header>
        {children}
        {actions && <footer>{actions}</footer>}
      </div>
    </dialog>
  );
}

interface AskProps {
  title: string;
  label: string;
  value: string;
  action: string;
  hint?: string;
  onDone(value: string): void;
  onClose(): void;
}

/** Asks for one line of text. */
export function Ask({ title, label, value, action, hint, onDone, onClose }: AskProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const text = input.current?.value.trim();
          if (text) onDone(text);
        }}
      >
        <label class="field">
          <span>{label}</span>
          <input ref={input} defaultValue={value} maxLength={128} required autofocus />
        </label>
        {hint && <p class="hint">{hint}</p>}
        <footer>
          <Button label="Cancel" onClick={onClose} />
          <button type="submit" class="button primary">
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
