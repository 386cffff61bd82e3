// Bars and colours in the cells of numbers.

import type { Table, ViewConfig, ViewerConfig } from "../live/perspective";

/** How a column of numbers is drawn in its cells, between the least and the greatest value. */
export interface Scale {
  kind: "bar" | "colour";
  low: number;
  high: number;
}

export type Scales = Record<string, Scale>;

/** Reads the scale of a column from the rows of a view; null if they have no finite value. */
export async function readScale(table: Table, rows: ViewConfig, column: string, kind: Scale["kind"]): Promise<Scale | null> {
  const view = await table.view({ ...rows, columns: [column] });
  try {
    const [least, greatest] = (await view.get_min_max(column)).map(Number) as [number, number];
    return scaleOf(kind, least, greatest);
  } finally {
    await view.delete().catch(() => undefined);
  }
}

/** Bars begin at zero. */
export function scaleOf(kind: Scale["kind"], least: number, greatest: number): Scale | null {
  if (!Number.isFinite(least) || !Number.isFinite(greatest)) return null;
  return kind === "bar" ? { kind, low: Math.min(0, least), high: Math.max(0, greatest) } : { kind, low: least, high: greatest };
}

/** Returns where a value is on its scale, from 0 to 1. */
export function shareOf({ low, high }: Scale, value: number): number {
  const share = (value - low) / (high - low);
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : high > 0 ? 1 : 0;
}

/** Returns the part of a view that changes if a column has a scale, or none. */
export function withScale({ scales = {} }: ViewerConfig, column: string, scale: Scale | null): ViewerConfig {
  const { [column]: _before, ...others } = scales;
  return { scales: scale ? { ...others, [column]: scale } : others };
}

/** Draws a cell on its scale; cells are reused for other columns. */
export function drawScale(cell: HTMLElement, scale: Scale | undefined, value: unknown): void {
  const isOn = scale !== undefined && typeof value === "number" && Number.isFinite(value);
  if (!isOn) {
    if (cell.dataset["stScale"] === undefined) return;
    delete cell.dataset["stScale"];
    cell.style.removeProperty("--st-share");
    return;
  }
  cell.dataset["stScale"] = scale.kind;
  cell.style.setProperty("--st-share", shareOf(scale, value).toFixed(4));
}
