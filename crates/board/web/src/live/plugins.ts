// Additions to Perspective's grid and charts: the number of rows, samples of many points, tooltips that
// survive updates.

import type { Table, View, Viewer } from "./perspective";
import { everyNth, positionColumn } from "./sample";

/** Charts of single points draw at most this many; of more rows they draw every n-th. */
export const MAX_POINTS = 50_000;

/** The event of a plugin's element after it was given a view. */
export const ROWS_EVENT = "streamtable-rows";

export interface RowsDetail {
  /** How many rows the view has; a total row does not count. */
  rows: number;
  /** One of how many rows is drawn. */
  every: number;
}

interface Plugin extends HTMLElement {
  draw(view: View): Promise<void>;
  update(view: View): Promise<void>;
  clear(): Promise<void>;
}

const GRID = "perspective-viewer-datagrid";
/** All charts share one class, which any of them leads to. */
const ANY_CHART = "perspective-viewer-charts-y-bar";
const POINT_CHARTS = ["scatter", "line", "density"].map((tag) => `perspective-viewer-charts-${tag}`);

let isDone = false;

/**
 * Wraps the plugins' methods. A plugin that has drawn has the attribute `data-drawn`.
 *
 * Call it after Perspective was loaded; further calls do nothing.
 */
export function extendPlugins(): void {
  const grid = customElements.get(GRID)?.prototype as Plugin | undefined;
  const chart = customElements.get(ANY_CHART)?.prototype as object | undefined;
  if (isDone || !grid || !chart) return;
  isDone = true;
  const charts = Object.getPrototypeOf(chart) as Plugin;
  for (const method of ["draw", "update"] as const) {
    const draw = grid[method];
    grid[method] = async function (view) {
      await draw.call(this, view);
      await report(this, view);
      this.dataset["drawn"] = "yes";
    };
    const drawChart = charts[method];
    charts[method] = async function (view) {
      followPointer(this);
      const { rows, every } = await report(this, view);
      // A chart keeps its last picture when the result is empty.
      if (rows === 0) {
        await this.clear();
        this.dataset["drawn"] = "yes";
        return;
      }
      const drawn = every === 1 ? view : ((await sampled(this, view, every)) ?? view);
      if (every === 1) forget(this);
      await drawChart.call(this, drawn);
      this.dataset["drawn"] = "yes";
      if (method === "update") hoverAgain(this);
    };
  }
}

async function report(plugin: Plugin, view: View): Promise<RowsDetail> {
  const [all, config] = await Promise.all([view.num_rows(), view.get_config()]);
  const isGrouped = (config.group_by ?? []).length > 0;
  const hasTotal = isGrouped && (config.group_rollup_mode ?? "rollup") === "rollup";
  const rows = Math.max(0, hasTotal ? all - 1 : all);
  const isPoints = !isGrouped && POINT_CHARTS.includes(plugin.localName);
  const every = isPoints ? Math.ceil(rows / MAX_POINTS) || 1 : 1;
  const detail: RowsDetail = { rows, every };
  plugin.dispatchEvent(new CustomEvent(ROWS_EVENT, { detail, bubbles: true, composed: true }));
  return detail;
}

const pointers = new WeakMap<Plugin, { x: number; y: number } | null>();

function followPointer(plugin: Plugin): void {
  if (pointers.has(plugin)) return;
  pointers.set(plugin, null);
  plugin.addEventListener("pointermove", ({ clientX, clientY }) => {
    pointers.set(plugin, { x: clientX, y: clientY });
  });
  plugin.addEventListener("pointerleave", () => pointers.set(plugin, null));
}

/** Shows a chart's tooltip again, which each update drops, if the pointer is still there. */
function hoverAgain(plugin: Plugin): void {
  const pointer = pointers.get(plugin);
  const canvas = plugin.shadowRoot?.querySelector(".webgl-canvas");
  if (!pointer || !canvas) return;
  canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: pointer.x, clientY: pointer.y }));
}

interface Sample {
  /** The configuration of the sampled view. */
  of: string;
  every: number;
  view: View;
}

const samples = new WeakMap<Plugin, Sample>();

/** Returns a view of every n-th row of the table that a view's filters let through. */
async function sampled(plugin: Plugin, view: View, every: number): Promise<View | null> {
  const config = await view.get_config();
  const of = JSON.stringify(config);
  const known = samples.get(plugin);
  // A somewhat finer sample is kept, so that a growing table is not sampled again at each update.
  if (known?.of === of && every <= 2 * known.every) return known.view;
  const viewer = plugin.parentElement as (Viewer & { getTable(panel?: object): Promise<Table> }) | null;
  if (!viewer) return null;
  const slot = plugin.getAttribute("slot") ?? undefined;
  const table = await viewer.getTable({ panel: slot });
  const sample = (await table.view(everyNth(config, await positionColumn(table), every)));
  forget(plugin);
  samples.set(plugin, { of, every, view: sample });
  return sample;
}

function forget(plugin: Plugin): void {
  const known = samples.get(plugin);
  if (!known) return;
  samples.delete(plugin);
  // The renderer may still read it.
  setTimeout(() => void known.view.delete().catch(() => undefined), 10_000);
}
