// Fields with a text to search for: in all columns of a view, or in a list on the page.

import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";
import { isTyping } from "./typing";

interface SearchProps {
  text: string;
  onSearch(text: string): void;
}

interface FindProps {
  /** The purpose of the field, for screen readers. */
  label: string;
  placeholder?: string;
  value?: string;
  onFind(text: string): void;
}

/** A field that searches a list on the page while the user types. */
export function Find({ label, placeholder = label, value, onFind }: FindProps) {
  return (
    <label class="search">
      <Icon name="search" />
      <input
        type="search"
        placeholder={placeholder}
        aria-label={label}
        value={value}
        onInput={(event) => onFind(event.currentTarget.value)}
      />
    </label>
  );
}

/** How long the user pauses before a search begins. */
const PAUSE_MS = 250;

export function Search({ text, onSearch }: SearchProps) {
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<number>(undefined);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      clearTimeout(timer.current);
    };
  }, []);
  // Undo and Back change the text, too; while the user types, the field is ahead.
  useEffect(() => {
    if (input.current && document.activeElement !== input.current) input.current.value = text;
  }, [text]);
  const search = (pause: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSearch(input.current?.value.trim() ?? ""), pause);
  };
  return (
    <label class="search">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        defaultValue={text}
        placeholder="Search"
        aria-label="Search all columns"
        aria-keyshortcuts="/"
        title="Search all columns: /"
        onInput={() => search(PAUSE_MS)}
        onKeyDown={(event) => {
          if (event.key === "Enter") search(0);
          if (event.key !== "Escape") return;
          event.currentTarget.value = "";
          search(0);
          event.currentTarget.blur();
        }}
      />
    </label>
  );
}
