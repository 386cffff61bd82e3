import { useEffect, useRef, useState } from "preact/hooks";
import { read } from "../grid/lookup";
import type { Connection } from "../live/connection";
import type { Client, View, ViewConfig } from "../live/perspective";

export interface Seen {
  /** The values of the rows, by column. */
  columns: Record<string, unknown[]>;
  /** How many rows the view has. */
  rows: number;
  /** The index of the first of the values. */
  first: number;
}

/** Which rows to read: the last N, or the first N. */
export interface Window {
  last?: number;
  first?: number;
}

/** The shortest time between two reads of a view. */
const READ_MS = 100;

/** Follows a view: reads some of its rows again each time it changes. */
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
    const followed = follow(connection, table, config, (view) => readWindow(view, latest.current), {
      onRead: (seen) => {
        setSeen(seen);
        setError("");
      },
      onError: setError,
    });
    look.current = followed.look;
    return followed.stop;
  }, [key, connection]);
  useEffect(() => look.current?.(), [window.first, window.last]);
  return { seen, error };
}

interface FollowEvents<T> {
  onRead(value: T): void;
  onError?(message: string): void;
}

/**
 * Makes a view, reads it each time it changes, and makes it again after a lost connection or when the
 * table has new columns. Returns how to read it now and how to stop.
 */
export function follow<T>(
  connection: Connection,
  table: string,
  config: ViewConfig,
  reader: (view: View) => Promise<T>,
  events: FollowEvents<T>,
  pause = READ_MS,
): { look(): void; stop(): void } {
  let followed: Followed<T> | null = null;
  const begin = (client: Client) => {
    followed?.close();
    followed = new Followed(client, table, config, reader, pause, events.onRead, (error) => {
      if (connection.state === "open") events.onError?.(error);
    });
  };
  const stops = [
    connection.onOpen(begin),
    connection.onSchema((name) => {
      if (name === table && connection.client) begin(connection.client);
    }),
  ];
  return {
    look: () => followed?.look(),
    stop: () => {
      for (const stop of stops) stop();
      followed?.close();
    },
  };
}

/** A view that is read each time it changes. It is not deleted during a read. */
class Followed<T> {
  /** Reads it soon. */
  readonly look: () => void;

  #isClosed = false;
  readonly #beginning: Promise<void>;
  #reading: Promise<void> = Promise.resolve();
  readonly #view: Promise<View>;

  constructor(
    client: Client,
    table: string,
    config: ViewConfig,
    private readonly reader: (view: View) => Promise<T>,
    pause: number,
    private readonly onRead: (value: T) => void,
    private readonly onError: (message: string) => void,
  ) {
    this.#view = client.open_table(table).then((table) => table.view(config));
    this.look = throttled(() => (this.#reading = this.#read()), pause);
    this.#beginning = this.#view.then((view) => this.#begin(view)).catch((error: Error) => this.#fail(error));
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
      const value = await this.reader(view);
      if (!this.#isClosed) this.onRead(value);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.onError(error instanceof Error ? error.message : String(error));
  }

  close(): void {
    this.#isClosed = true;
    const end = async () => {
      const view = await this.#view;
      // A request for a deleted view would fail.
      await this.#beginning;
      await this.#reading;
      await view.delete();
    };
    // The views of a lost connection are gone with it.
    end().catch(() => undefined);
  }
}

/** Reads the rows of a window. */
export async function readWindow(view: View, { last, first = 100 }: Window): Promise<Seen> {
  const rows = await view.num_rows();
  const start = last === undefined ? 0 : Math.max(0, rows - last);
  const end = last === undefined ? Math.min(rows, first) : rows;
  const columns = end > start ? await read(view, start, end) : {};
  return { columns, rows, first: start };
}

/** Runs work at most once per `pause`, one run at a time, and once more after the last call. */
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
