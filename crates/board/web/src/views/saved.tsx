// The menu of a table's saved views.

import { useRef, useState } from "preact/hooks";
import { boardLink } from "../api";
import { boardOfViews, changeViews, isSameView, newView, readViews, type SavedView, type ViewChange } from "../board/saved-views";
import type { ViewerConfig } from "../live/perspective";
import { savedInAddress } from "../link";
import type { PanelStart } from "../start";
import { Button } from "../ui/button";
import { Ask, Dialog } from "../ui/dialog";
import { Menu, type MenuItem } from "../ui/menu";
import { toast, toastError } from "../ui/toast";
import { visible } from "../values";

/** The saved views of a table, and which of them is shown. */
export interface SavedViews {
  all: SavedView[];
  /** The view that is shown, perhaps with changes. */
  chosen: SavedView | null;
  /** Reads the views, and returns the one that the address names; null if it names none. */
  open(): Promise<SavedView | null>;
  /** Takes over which view the address names. */
  follow(): SavedView | null;
  choose(id: string | null): void;
  change(change: ViewChange): Promise<void>;
}

/** Follows the saved views of a table. */
export function useSavedViews(table: string): SavedViews {
  const [, redraw] = useState(0);
  const state = useRef<{ all: SavedView[]; id: string | null }>({ all: [], id: null });
  const set = (changes: Partial<typeof state.current>) => {
    state.current = { ...state.current, ...changes };
    redraw((n) => n + 1);
  };
  const found = () => state.current.all.find(({ id }) => id === state.current.id) ?? null;
  return {
    get all() {
      return state.current.all;
    },
    get chosen() {
      return found();
    },
    async open() {
      const id = savedInAddress();
      set({ all: await readViews(table), id });
      if (id !== null && !found()) toast("The saved view of this link was deleted");
      return found();
    },
    follow() {
      set({ id: savedInAddress() });
      return found();
    },
    choose: (id) => set({ id }),
    async change(change) {
      set({ all: await changeViews(table, change) });
    },
  };
}

interface SavedMenuProps {
  start: PanelStart;
  saved: SavedViews;
  config: ViewerConfig;
  save(): ViewerConfig;
  /** Called to show a view; null for all of the table. */
  onShow(view: SavedView | null): void;
  /** Called after the shown view was saved. */
  onSaved(): void;
}

type Asked = "save-as" | "rename" | "delete" | null;

export function SavedMenu(props: SavedMenuProps) {
  const { start, saved, config, save, onShow, onSaved } = props;
  const [asked, setAsked] = useState<Asked>(null);
  const { all, chosen } = saved;
  const isChanged = chosen !== null && !isSameView(chosen.config, config);
  const run = async (change: ViewChange, id: string | null, what: string) => {
    setAsked(null);
    try {
      await saved.change(change);
      saved.choose(id);
      onSaved();
      toast(what);
    } catch (error) {
      toastError(error);
    }
  };
  const add = (title: string) => {
    const view = newView(title, save());
    void run({ kind: "add", view }, view.id, `The view is saved as ${visible(title)}`);
  };
  if (all.length === 0 && !start.writes) return null;
  const title = chosen ? visible(chosen.title) : "";
  const views: MenuItem[] = all.map((view) => ({
    label: visible(view.title),
    isChecked: view.id === chosen?.id && !isChanged,
    onSelect: () => onShow(view),
  }));
  const changes: MenuItem[] = chosen
    ? [
        {
          label: "Save the changes",
          icon: "save",
          disabled: !isChanged,
          onSelect: () => void run({ kind: "set", id: chosen.id, config: newView("", save()).config }, chosen.id, "The view is saved"),
        },
        { label: "Rename…", icon: "edit", onSelect: () => setAsked("rename") },
        { label: "Delete…", icon: "trash", isDanger: true, onSelect: () => setAsked("delete") },
      ]
    : [];
  return (
    <>
      <Menu
        icon="bookmark"
        label={chosen ? `${isChanged ? "* " : ""}${title}` : "Views"}
        hint={chosen ? `Saved views: ${title}${isChanged ? ", changed" : ""}` : "Saved views"}
        items={[
          { label: "Whole table", isChecked: chosen === null, onSelect: () => onShow(null) },
          ...views,
          ...(start.writes ? [{ label: "Save as a view…", heading: "What is shown now", icon: "add" as const, onSelect: () => setAsked("save-as") }, ...changes] : []),
          ...(all.length > 0
            ? [{ label: "All views on a board", icon: "board" as const, onSelect: () => location.assign(boardLink(start.entity, start.project, boardOfViews(start.table))) }]
            : []),
        ]}
      />
      {asked === "save-as" && (
        <Ask
          title="Save as a view"
          label="Title"
          value={chosen ? `${chosen.title} 2` : ""}
          action="Save"
          hint="Its columns, filters, order, groups and formats, for all readers of this project."
          onDone={add}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "rename" && chosen && (
        <Ask
          title="Rename the view"
          label="Title"
          value={chosen.title}
          action="Rename"
          hint="Its link stays the same."
          onDone={(title) => void run({ kind: "set", id: chosen.id, title }, chosen.id, "The view is renamed")}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "delete" && chosen && (
        <Dialog
          title="Delete this view?"
          onClose={() => setAsked(null)}
          actions={
            <>
              <Button label="Cancel" onClick={() => setAsked(null)} />
              <Button label="Delete" kind="danger" onClick={() => void run({ kind: "remove", id: chosen.id }, null, "The view is deleted")} />
            </>
          }
        >
          <p>
            <b>
              <bdi>{title}</bdi>
            </b>{" "}
            is deleted for everybody. The rows stay, and the history of the views' board keeps it.
          </p>
        </Dialog>
      )}
    </>
  );
}
