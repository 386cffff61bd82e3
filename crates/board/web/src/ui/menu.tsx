import { Fragment } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";

export interface MenuItem {
  label: string;
  hint?: string;
  /** The heading of this item and those after it. */
  heading?: string | undefined;
  icon?: IconName;
  isDanger?: boolean;
  isChecked?: boolean;
  disabled?: boolean;
  onSelect(): void;
}

interface MenuProps {
  icon?: IconName;
  label: string;
  /** All that a button says that clips its label. */
  hint?: string;
  bare?: boolean;
  items: MenuItem[];
  /** Called before the list is shown. */
  onOpen?(): void;
}

interface MenuListProps {
  id?: string;
  label: string;
  items: MenuItem[];
  /** Called before an action, and when the list is to be closed without one. */
  onClose(): void;
}

/** A list of actions; arrows, Home, End and Escape work as in other menus. */
export function MenuList({ id, label, items, onClose }: MenuListProps) {
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    root.current?.querySelector<HTMLElement>("[role^=menuitem]:not(:disabled)")?.focus();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = [...(root.current?.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    if (event.key in to) {
      event.preventDefault();
      all.at((to[event.key] as number) % all.length)?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.stopPropagation();
      event.preventDefault();
      onClose();
    }
  };
  return (
    <div role="menu" id={id} class="menu-list" aria-label={label} ref={root} onKeyDown={onKeyDown}>
      {items.map((item, i) => (
        <Fragment key={keyOf(items, i)}>
          {item.heading && <small class="menu-heading">{item.heading}</small>}
          <button
            type="button"
            role={item.isChecked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={item.isChecked}
            tabIndex={-1}
            class={item.isDanger ? "danger" : ""}
            disabled={item.disabled}
            onClick={() => {
              onClose();
              item.onSelect();
            }}
          >
            {item.icon && <Icon name={item.icon} />}
            {item.isChecked !== undefined && (
              <span class="tick">{item.isChecked && <Icon name="check" />}</span>
            )}
            <span class="menu-label">{item.label}</span>
            {item.hint && <small>{item.hint}</small>}
          </button>
        </Fragment>
      ))}
    </div>
  );
}

/** Names an item by its label, so that the focus stays on it when others come; labels may be repeated. */
function keyOf(items: MenuItem[], at: number): string {
  const label = items[at]?.label ?? "";
  const before = items.slice(0, at).filter((it) => it.label === label).length;
  return before === 0 ? label : `${label} ${before}`;
}

/** A button that opens a list of actions. */
export function Menu({ icon, label, hint, bare, items, onOpen }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };

  // Before the next key: an effect would wait for the next frame, which a hidden page never draws.
  useLayoutEffect(() => {
    if (!isOpen) return;
    const leave = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    // Also while the focus is elsewhere, as after a dialog that has just closed.
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    };
    addEventListener("pointerdown", leave, true);
    addEventListener("keydown", escape, true);
    return () => {
      removeEventListener("pointerdown", leave, true);
      removeEventListener("keydown", escape, true);
    };
  }, [isOpen]);

  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        class={`button plain ${bare ? "bare" : hint ? "clipped" : ""}`}
        title={bare ? label : hint}
        aria-label={bare ? label : hint}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => {
          if (!isOpen) onOpen?.();
          setOpen(!isOpen);
        }}
      >
        {icon && <Icon name={icon} />}
        {!bare && <span>{label}</span>}
        {!bare && <Icon name="chevron" />}
      </button>
      {isOpen && (
        <MenuList
          id={id}
          label={label}
          items={items}
          onClose={close}
        />
      )}
    </div>
  );
}
