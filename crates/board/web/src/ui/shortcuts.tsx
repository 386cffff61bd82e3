// The list of keys, shown by the key `?`.

import { useEffect } from "preact/hooks";
import { Dialog } from "./dialog";
import { isTyping } from "./typing";

/** The name of the key that Ctrl is on other systems. */
const CTRL = /^(Mac|iP)/.test(navigator.platform) ? "⌘" : "Ctrl";

/** Keys by place; keys that are pressed together are in one text, alternatives are in several. */
const SHORTCUTS: [place: string, keys: [string[], string][]][] = [
  [
    "Everywhere",
    [
      [["?"], "this list"],
      [["Esc"], "close what is open"],
      [[`${CTRL} Z`], "undo a change"],
      [[`${CTRL} P`], "print"],
    ],
  ],
  [
    "Table",
    [
      [["/"], "search all columns"],
      [["↑", "↓"], "choose a row"],
      [["Enter"], "details of the row"],
      [[`${CTRL} C`], "copy the chosen cell"],
    ],
  ],
  [
    "Details of a row",
    [
      [["J", "K"], "next row, row before"],
      [["D"], "compare with other rows"],
    ],
  ],
  [
    "Chart",
    [
      [["←", "→", "↑", "↓"], "from mark to mark"],
      [["Enter"], "filter by the mark"],
      [["Shift Enter"], "rows of the mark"],
    ],
  ],
  [
    "Board",
    [
      [[`${CTRL} S`], "save"],
      [[`${CTRL} Shift Z`, `${CTRL} Y`], "redo"],
      [["↑", "↓", "←", "→"], "move the panel, while the layout is edited"],
      [["Shift ↑", "Shift ↓", "Shift ←", "Shift →"], "size the panel"],
    ],
  ],
];

/** Calls `onAsk` when the user asks for the list by its key. */
export function useShortcutsKey(onAsk: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isAsked = event.key === "?" && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (!isAsked || isTyping(event) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      onAsk();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard shortcuts" wide onClose={onClose}>
      <div class="shortcuts">
        {SHORTCUTS.map(([place, keys]) => (
          <section key={place}>
            <h3>{place}</h3>
            <dl>
              {keys.map(([alternatives, does]) => (
                <div key={does}>
                  <dt>
                    {alternatives.map((together) => (
                      <span key={together}>
                        {together.split(" ").map((key) => (
                          <kbd key={key}>{key}</kbd>
                        ))}
                      </span>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
