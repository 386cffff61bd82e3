// Filters that a board lays over its panels: its time range and the picks in other panels.

import type { Filter, ViewConfig } from "./perspective";

export interface Overlay {
  filter: Filter[];
  /** The computed columns that the filters name, by their names. */
  expressions: Record<string, string>;
}

export const NO_OVERLAY: Overlay = { filter: [], expressions: {} };

/** Returns a view's configuration with an overlay applied. */
export function overlaid<T extends ViewConfig>(config: T, { filter, expressions }: Overlay): T {
  return {
    ...config,
    filter: [...(config.filter ?? []), ...filter],
    expressions: { ...config.expressions, ...expressions },
  };
}

/** Removes an overlay from a configuration that a viewer saved with it. */
export function withoutOverlay<T extends ViewConfig>(config: T, overlay: Overlay, own: ViewConfig): T {
  const laid = new Set(overlay.filter.map((it) => JSON.stringify(it)));
  const kept = Object.entries(config.expressions ?? {}).filter(
    ([name]) => !(name in overlay.expressions) || name in (own.expressions ?? {}),
  );
  return {
    ...config,
    filter: (config.filter ?? []).filter((it) => !laid.has(JSON.stringify(it))),
    expressions: Object.fromEntries(kept),
  };
}
