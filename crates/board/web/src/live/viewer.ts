// One of Perspective's viewers on one table, kept alive over lost connections.

import { dressViewer } from "../shadow";
import { viewerTheme } from "../theme";
import type { Connection } from "./connection";
import { type Client, type Filter, loadPerspective, type Viewer, type ViewerConfig } from "./perspective";

/** What somebody wants to know of a viewer. */
export interface ViewerEvents {
  /** It shows something, for the first time or in place of another after the connection was lost. */
  onDrawn?(before: Viewer | null): void;
  /** It has got a grid or a chart, which has not drawn yet. */
  onPlugin?(viewer: Viewer): void;
  /** The table has new columns: returns what is to be shown then. */
  onColumns?(config: ViewerConfig): Promise<ViewerConfig>;
  /** Somebody changed what it shows. */
  onChange?(config: ViewerConfig): void;
  /** A part of a chart, or a row of a grid, was clicked. */
  onClick?(detail: ClickDetail): void;
  /** What it should show cannot be shown. */
  onError?(error: Error): void;
}

export interface ClickDetail {
  config: { filter?: Filter[] };
  row: Record<string, unknown>;
  column_names: string[];
}

/**
 * A viewer's life: made in a host element, given each new client, asked for its configuration.
 *
 * Filters from outside (a board's time range, a click in another panel) lie over its own and are no
 * part of what [`save`](LiveViewer.save) returns.
 */
export class LiveViewer {
  element: Viewer | null = null;

  #config: ViewerConfig;
  /** What the viewer made of the configuration that it was given last. */
  #shown: ViewerConfig = {};
  #outer: Filter[] = [];
  #isClosed = false;
  #isBusy = 0;
  #last: Promise<void> = Promise.resolve();
  readonly #stops: (() => void)[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly connection: Connection,
    private readonly table: string,
    config: ViewerConfig,
    private readonly events: ViewerEvents,
  ) {
    this.#config = config;
    void this.#start();
  }

  async #start(): Promise<void> {
    await loadPerspective();
    if (this.#isClosed) return;
    this.#stops.push(
      this.connection.onOpen((client) => this.#run(() => this.#begin(client))),
      this.connection.onSchema((name) => {
        const { client } = this.connection;
        if (name !== this.table || !client) return;
        this.#run(async () => {
          this.#config = (await this.events.onColumns?.(this.#config)) ?? this.#config;
          await this.#begin(client);
        });
      }),
    );
  }

  /**
   * Shows the table through a client. A viewer stays with the client that it began with, so each
   * client gets a viewer of its own, which takes the other's place once it shows something.
   */
  async #begin(client: Client): Promise<void> {
    const before = this.element;
    const element = document.createElement("perspective-viewer") as Viewer;
    element.setAttribute("theme", viewerTheme());
    this.host.prepend(element);
    this.element = element;
    // The viewer sets its own styles as it begins, and again as panels come.
    const dressed = new MutationObserver(() => {
      dressViewer(element);
      this.events.onPlugin?.(element);
    });
    dressed.observe(element, { childList: true });
    if (element.shadowRoot) {
      dressed.observe(element.shadowRoot, { childList: true, subtree: true });
    }
    element.addEventListener("perspective-config-update", () => {
      if (this.#isBusy === 0 && this.element === element) void this.#changed();
    });
    element.addEventListener("perspective-click", (event) => {
      this.events.onClick?.((event as CustomEvent<ClickDetail>).detail);
    });
    try {
      await element.load(client);
      await this.#restore();
    } catch (error) {
      this.element = before;
      discard(element);
      throw error;
    }
    this.events.onDrawn?.(before);
    if (before) discard(before);
  }

  /** Shows something else. */
  set(config: ViewerConfig): void {
    this.#config = config;
    this.#run(() => this.#restore());
  }

  /** Lays filters over its own. */
  filter(outer: Filter[]): void {
    if (JSON.stringify(outer) === JSON.stringify(this.#outer)) return;
    this.#outer = outer;
    this.#run(async () => {
      await this.element?.restore({ filter: this.#filters() });
    });
  }

  restyle(): void {
    const theme = viewerTheme();
    this.#run(async () => {
      await this.element?.restore({ theme });
    });
  }

  async toggleSettings(isOpen?: boolean): Promise<void> {
    await this.element?.toggleConfig(isOpen);
  }

  /** What it shows, without what lies over it. */
  save(): ViewerConfig {
    return this.#config;
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    void this.#last.then(() => {
      if (this.element) discard(this.element);
      this.element = null;
    });
  }

  /** What is done to a viewer is done in turn. */
  #run(work: () => Promise<void>): void {
    this.#isBusy += 1;
    this.#last = this.#last.then(async () => {
      try {
        if (!this.#isClosed) await work();
      } catch (error) {
        // A connection that breaks in the middle comes back, and all is done again.
        if (this.connection.state === "open" && !this.#isClosed) {
          this.events.onError?.(error instanceof Error ? error : new Error(String(error)));
        }
      } finally {
        this.#isBusy -= 1;
      }
    });
  }

  async #restore(): Promise<void> {
    const { element } = this;
    if (!element) return;
    await element.restore({
      ...this.#config,
      table: this.table,
      theme: viewerTheme(),
      filter: this.#filters(),
    });
    this.#shown = this.#own(await element.save());
  }

  #filters(): Filter[] {
    return [...(this.#config.filter ?? []), ...this.#outer];
  }

  /** What is somebody's choice, of all that the viewer keeps. */
  #own(saved: ViewerConfig): ViewerConfig {
    const { table: _table, theme: _theme, version: _version, title: _title, ...config } = saved;
    const outer = new Set(this.#outer.map((filter) => JSON.stringify(filter)));
    config.filter = (config.filter ?? []).filter((it) => !outer.has(JSON.stringify(it)));
    return config;
  }

  /** Takes over what was changed, and only that: the rest stays as it was given. */
  async #changed(): Promise<void> {
    const saved = await this.element?.save().catch(() => null);
    if (!saved || this.#isClosed || this.#isBusy > 0) return;
    const now = this.#own(saved);
    const changed = Object.entries(now).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(this.#shown[key as keyof ViewerConfig]),
    );
    if (changed.length === 0) return;
    this.#shown = now;
    this.#config = { ...this.#config, ...Object.fromEntries(changed) };
    this.events.onChange?.(this.#config);
  }
}

function discard(element: Viewer): void {
  element.remove();
  // One whose connection is gone cannot say goodbye to its views.
  void Promise.resolve(element.delete()).catch(() => undefined);
}
