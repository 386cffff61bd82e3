// Keys in Perspective's settings, which do not let the focus out.

import type { Viewer } from "./perspective";

const FOCUSABLE = 'a[href], button, input, select, textarea, [tabindex]:not([tabindex="-1"])';

/** While a viewer's settings are open, Tab moves through them and out, and Escape closes them. */
export function guardKeys(viewer: Viewer): void {
  const onKey = (event: KeyboardEvent) => {
    if (!viewer.hasAttribute("settings")) return;
    if (event.key === "Escape") {
      event.preventDefault();
      void viewer.toggleConfig(false).then(() => focusables(viewer)[0]?.focus());
    } else if (event.key === "Tab") {
      event.preventDefault();
      event.stopImmediatePropagation();
      next(viewer, event.shiftKey ? -1 : 1)?.focus();
    }
  };
  viewer.addEventListener("keydown", onKey, { capture: true });
}

/** Returns the element that Tab leads to: the next one of the page, whatever tree it is in. */
function next(viewer: Viewer, step: number): HTMLElement | undefined {
  const all = focusables(viewer.ownerDocument.body);
  const now = active(viewer.ownerDocument);
  const at = all.findIndex((it) => it === now);
  return all.at((at + step) % all.length);
}

function active(root: DocumentOrShadowRoot): Element | null {
  const found = root.activeElement;
  return (found?.shadowRoot && active(found.shadowRoot)) ?? found;
}

/** Returns the elements that take the focus, in the order of the tree, those of shadow trees too. */
function focusables(root: Element | ShadowRoot): HTMLElement[] {
  const found: HTMLElement[] = [];
  for (const child of root.children) {
    const element = child as HTMLElement;
    if (element.matches(FOCUSABLE) && element.checkVisibility() && !element.matches(":disabled")) {
      found.push(element);
    }
    if (element.shadowRoot) found.push(...focusables(element.shadowRoot));
    found.push(...focusables(element));
  }
  return found;
}
