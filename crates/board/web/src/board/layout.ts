// The places of panels in a grid of twelve columns: they do not overlap, and have no gap above them.

import type { PanelDocument, Place } from "./document";

export const COLUMNS = 12;
export const ROW_PX = 40;
export const GAP_PX = 8;

export const SMALLEST = { w: 2, h: 2 };

export function overlap(a: Place, b: Place): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** Limits a place to the grid's bounds. */
export function bounded({ x, y, w, h }: Place): Place {
  const wide = Math.min(COLUMNS, Math.max(SMALLEST.w, Math.round(w)));
  return {
    w: wide,
    h: Math.min(60, Math.max(SMALLEST.h, Math.round(h))),
    x: Math.min(COLUMNS - wide, Math.max(0, Math.round(x))),
    y: Math.max(0, Math.round(y)),
  };
}

/**
 * Moves panels up as far as possible, in reading order. The panel that is being moved keeps its place;
 * the panels that it overlaps move down.
 */
export function settle(panels: PanelDocument[], moved?: string): PanelDocument[] {
  const order = [...panels].sort((a, b) => {
    if (a.layout.y !== b.layout.y) return a.layout.y - b.layout.y;
    if (a.id === moved) return -1;
    if (b.id === moved) return 1;
    return a.layout.x - b.layout.x;
  });
  const placed = new Map<string, Place>();
  for (const panel of order) {
    const place = bounded(panel.layout);
    const others = [...placed.values()];
    while (others.some((other) => overlap(place, other))) place.y += 1;
    while (place.y > 0 && !others.some((other) => overlap({ ...place, y: place.y - 1 }, other))) {
      place.y -= 1;
    }
    placed.set(panel.id, place);
  }
  return panels.map((panel) => ({ ...panel, layout: placed.get(panel.id) ?? panel.layout }));
}

/** Places a panel, and settles the others around it. */
export function place(panels: PanelDocument[], id: string, layout: Place): PanelDocument[] {
  const moved = panels.map((it) => (it.id === id ? { ...it, layout: bounded(layout) } : it));
  return settle(moved, id);
}

/** The first row below all panels. */
export function bottom(panels: PanelDocument[]): number {
  return Math.max(0, ...panels.map(({ layout }) => layout.y + layout.h));
}
