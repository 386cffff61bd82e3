// The part of Perspective that the page uses. It is loaded after the page's own first paint.

import type { Scales } from "../grid/scales";
import { importModule } from "../import";
import { extendPlugins } from "./plugins";

declare const VIEWER_URL: string;
declare const VIEWER_CSS_URL: string;

export type Filter = [string, string, unknown?];

/** Perspective's view configuration. */
export interface ViewConfig {
  columns?: (string | null)[];
  group_by?: string[];
  split_by?: string[];
  sort?: [string, string][];
  filter?: Filter[];
  expressions?: Record<string, string>;
  aggregates?: Record<string, unknown>;
  group_rollup_mode?: string;
}

/** A view's configuration and how the viewer shows it. */
export interface ViewerConfig extends ViewConfig {
  table?: string;
  plugin?: string;
  plugin_config?: Record<string, unknown>;
  columns_config?: Record<string, Record<string, unknown>>;
  settings?: boolean;
  theme?: string;
  title?: string | null;
  version?: string;
  /** The columns that stay in sight while the others are scrolled: the page's own, unknown to Perspective. */
  pinned?: string[];
  /** The columns of numbers that are drawn as bars or colours, in the same way. */
  scales?: Scales;
}

export interface Window {
  start_row?: number;
  end_row?: number;
  start_col?: number;
  end_col?: number;
}

export interface View {
  num_rows(): Promise<number>;
  get_config(): Promise<ViewConfig>;
  get_min_max(column: string): Promise<[unknown, unknown]>;
  to_columns_string(window?: Window): Promise<string>;
  on_update(callback: () => void): Promise<number>;
  delete(): Promise<void>;
}

export interface Table {
  columns(): Promise<string[]>;
  schema(): Promise<Record<string, string>>;
  size(): Promise<number>;
  view(config?: ViewConfig): Promise<View>;
}

export interface Client {
  handle_response(bytes: Uint8Array): Promise<void>;
  handle_error(message: string): Promise<void>;
  open_table(name: string): Promise<Table>;
  terminate(): void;
}

export interface Viewer extends HTMLElement {
  load(client: Client): Promise<void>;
  restore(config: ViewerConfig): Promise<void>;
  save(): Promise<ViewerConfig>;
  getView(): Promise<View>;
  getPlugin(name?: string): HTMLElement;
  toggleConfig(force?: boolean): Promise<void>;
  restyleElement(): Promise<void>;
  setAutoPause(isAutomatic: boolean): Promise<void>;
  delete(): Promise<void>;
  flush(): Promise<void>;
}

export interface Perspective {
  Client: new (
    send: (bytes: Uint8Array) => Promise<void>,
    close: () => Promise<void>,
  ) => Client;
}

let loading: Promise<Perspective> | null = null;

/** Loads the viewer and its styles, once. */
export function loadPerspective(): Promise<Perspective> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Perspective> {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = VIEWER_CSS_URL;
  // Before the page's own styles, which change some of these.
  document.head.prepend(style);
  const styled = new Promise((resolve) => style.addEventListener("load", resolve, { once: true }));
  const module = await importModule<{ start(): Promise<Perspective> }>(VIEWER_URL);
  const [perspective] = await Promise.all([module.start(), styled]);
  extendPlugins();
  addEventListener("unhandledrejection", ignoreReplacedView);
  return perspective;
}

/** A grid or chart that still draws a view which was just replaced draws again with the new one. */
function ignoreReplacedView(event: PromiseRejectionEvent): void {
  if (event.reason instanceof Error && event.reason.message === "View not found") event.preventDefault();
}
