import { useEffect, useRef, useState } from "preact/hooks";
import { read } from "../grid/lookup";
import type { Connection } from "../live/connection";
import type { Client, View, ViewConfig } from "../live/perspective";

export interface Seen {
  /** Values by column, of the rows that were asked for. */
  columns: Record<string, unknown[]>;
  /** How many rows the view has. */
  rows: number;
  /** Where the first of the values stands. */
  first: number;
}

/** Which rows: the last so many, or the first. */
export interface Window {
  last?: number;
  first?: number;
}

/** How often at most a view is read again. */
const READ_MS = 100;

/** Follows a view: some of its rows, read again as they change. */
export function useView(
  connection: Connection,
  table: string,
  config: ViewConfig,
  window: Window,
): { seen: Seen | null; error: string } {
  const [seen, setSeen] = useState<Seen | null>(null);
  const [error, setError] = useState("");
  const key = JSON.stringify([table, config]);
  const latest = useRef(window);
  const look = useRef<(() => void) | null>(null);
  latest.current = window;

  useEffect(() => {
    let followed: Followed | null = null;
    const begin = (client: Client) => {
      followed?.close();
      followed = new Followed(client, table, config, () => latest.current, (seen, error) => {
        if (seen) setSeen(seen);
        setError(connection.state === "open" ? error : "");
      });
      look.current = followed.look;
    };
    const stops = [
      connection.onOpen(begin),
      connection.onSchema((name) => {
        if (name === table && connection.client) begin(connection.client);
      }),
    ];
    return () => {
      for (const stop of stops) stop();
      followed?.close();
    };
  }, [key, connection]);
  useEffect(() => look.current?.(), [window.first, window.last]);
  return { seen, error };
}

/** A view that is read each time it changes. It is deleted only while nobody reads it. */
class Followed {
  /** Reads it soon. */
  readonly look: () => void;

  #isClosed = false;
  #reading: Promise<void> = Promise.resolve();
  readonly #view: Promise<View>;

  constructor(
    client: Client,
    table: string,
    config: ViewConfig,
    private readonly window: () => Window,
    private readonly tell: (seen: Seen | null, error: string) => void,
  ) {
    this.#view = client.open_table(table).then((table) => table.view(config));
    this.look = throttled(() => (this.#reading = this.#read()), READ_MS);
    this.#view.then((view) => this.#begin(view)).catch((error: Error) => this.#fail(error));
  }

  async #begin(view: View): Promise<void> {
    if (this.#isClosed) return;
    this.look();
    await view.on_update(this.look);
  }

  async #read(): Promise<void> {
    try {
      const view = await this.#view;
      if (this.#isClosed) return;
      const seen = await readWindow(view, this.window());
      if (!this.#isClosed) this.tell(seen, "");
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.tell(null, error instanceof Error ? error.message : String(error));
  }

  close(): void {
    this.#isClosed = true;
    const end = async () => {
      const view = await this.#view;
      await this.#reading;
      await view.delete();
    };
    // A view of a connection that is gone went with it.
    end().catch(() => undefined);
  }
}

async function readWindow(view: View, { last, first = 100 }: Window): Promise<Seen> {
  const rows = await view.num_rows();
  const start = last === undefined ? 0 : Math.max(0, rows - last);
  const end = last === undefined ? Math.min(rows, first) : rows;
  const columns = end > start ? await read(view, start, end) : {};
  return { columns, rows, first: start };
}

/** Runs work at most so often, never twice at a time, and once more after the last call. */
function throttled(work: () => Promise<void>, pause: number): () => void {
  let isRunning = false;
  let isWanted = false;
  const run = async () => {
    isRunning = true;
    do {
      isWanted = false;
      await work().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, pause));
    } while (isWanted);
    isRunning = false;
  };
  return () => {
    isWanted = true;
    if (!isRunning) void run();
  };
}
