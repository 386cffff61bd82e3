// A Perspective viewer of one table that survives lost connections.

import { dressViewer } from "../shadow";
import { isPrinting, onPrint } from "../print";
import { viewerTheme } from "../theme";
import type { Connection } from "./connection";
import { guardKeys } from "./keyboard";
import { NO_OVERLAY, type Overlay, overlaid, withoutOverlay } from "./overlay";
import { type Client, type Filter, loadPerspective, type Viewer, type ViewerConfig } from "./perspective";
import { ROWS_EVENT, type RowsDetail } from "./plugins";

export interface ViewerEvents {
  /** Called when an element shows its first rows; `before` is the element that it replaces. */
  onDrawn?(before: Viewer | null): void;
  /** Called when the viewer has a new grid or chart, before that draws. */
  onPlugin?(viewer: Viewer): void;
  /** Called when the table has new columns; returns the configuration to show then. */
  onColumns?(config: ViewerConfig): Promise<ViewerConfig>;
  /** Called when the user changed the configuration. */
  onChange?(config: ViewerConfig): void;
  /** Called when a part of a chart, or a row of a grid, was clicked. */
  onClick?(detail: ClickDetail): void;
  /** Called each time the viewer was given a view, with the number of its rows. */
  onRows?(detail: RowsDetail): void;
  /** Called when a configuration was shown: an error before it is over. */
  onShown?(): void;
  /** Called when a configuration cannot be shown. */
  onError?(error: Error): void;
}

export interface ClickDetail {
  config: { filter?: Filter[] };
  row: Record<string, unknown>;
  column_names: string[];
}

/**
 * A viewer in a host element. It survives lost connections: each new client gets a new element.
 *
 * An overlay (a board's time range, picks in other panels) adds to its own filters;
 * [`save`](LiveViewer.save) leaves it out.
 */
export class LiveViewer {
  element: Viewer | null = null;

  #config: ViewerConfig;
  /** The configuration that the element saved after it was given the last one. */
  #shown: ViewerConfig = {};
  #overlay: Overlay = NO_OVERLAY;
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
      // An element beyond the screen does not draw by itself.
      onPrint(() => void this.element?.setAutoPause(!isPrinting())),
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
   * Shows the table through a client. An element cannot change its client, so each client gets a new
   * element, which replaces the former one as soon as it shows rows.
   */
  async #begin(client: Client): Promise<void> {
    const before = this.element;
    const element = document.createElement("perspective-viewer") as Viewer;
    element.setAttribute("theme", viewerTheme());
    this.host.prepend(element);
    this.element = element;
    // The element sets its own styles when it starts, and again for each new plugin.
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
    guardKeys(element);
    // In place of the viewer's inline handlers: its fields grow with their text.
    element.shadowRoot?.addEventListener("input", (event) => {
      const field = event.composedPath()[0];
      if (field instanceof HTMLInputElement && field.parentElement) {
        field.parentElement.dataset["value"] = field.value;
      }
    });
    element.addEventListener(ROWS_EVENT, (event) => {
      if (this.element === element) this.events.onRows?.((event as CustomEvent<RowsDetail>).detail);
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

  /** Shows another configuration. */
  set(config: ViewerConfig): void {
    this.#config = config;
    this.#run(() => this.#restore());
  }

  /** Replaces the overlay. */
  overlay(overlay: Overlay): void {
    if (JSON.stringify(overlay) === JSON.stringify(this.#overlay)) return;
    this.#overlay = overlay;
    this.#run(async () => {
      const { filter = [], expressions = {} } = overlaid(this.#config, overlay);
      await this.element?.restore({ filter, expressions });
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

  /** Returns the configuration without the overlay. */
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

  /** Runs operations on the element one after another. */
  #run(work: () => Promise<void>): void {
    this.#isBusy += 1;
    // The user's changes are taken over only when it is not busy.
    this.host.ariaBusy = "true";
    this.#last = this.#last.then(async () => {
      try {
        if (!this.#isClosed) await work();
        if (!this.#isClosed) this.events.onShown?.();
      } catch (error) {
        // After a lost connection a new element is given everything again.
        if (this.connection.state === "open" && !this.#isClosed) {
          this.events.onError?.(error instanceof Error ? error : new Error(String(error)));
        }
      } finally {
        this.#isBusy -= 1;
        if (this.#isBusy === 0) this.host.ariaBusy = "false";
      }
    });
  }

  async #restore(): Promise<void> {
    const { element } = this;
    if (!element) return;
    await element.restore({
      ...overlaid(this.#config, this.#overlay),
      table: this.table,
      theme: viewerTheme(),
    });
    this.#shown = this.#own(await element.save());
  }

  /** Returns the part of a saved configuration that is the user's choice. */
  #own(saved: ViewerConfig): ViewerConfig {
    const { table: _table, theme: _theme, version: _version, title: _title, ...config } = saved;
    return withoutOverlay(config, this.#overlay, this.#config);
  }

  /** Takes over the changed parts only: the rest stays as it was given. */
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
  // After a lost connection its views cannot be deleted.
  void Promise.resolve(element.delete()).catch(() => undefined);
}
