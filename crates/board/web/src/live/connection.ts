// The page's one connection to the server's live views. It reconnects by itself.

import { logIn } from "../api";
import { type Client, loadPerspective } from "./perspective";

export type ConnectionState = "connecting" | "open" | "reconnecting";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

type Listener<T> = (value: T) => void;

/** The error of requests whose connection was lost. */
const LOST = "the connection is lost";

/**
 * A WebSocket and the client that uses it.
 *
 * Each new socket has a new client without views: its users make theirs again in `onOpen`. Messages
 * sent while it is closed are dropped, since the views that they belong to are gone.
 */
export class Connection {
  state: ConnectionState = "connecting";
  client: Client | null = null;

  #socket: WebSocket | null = null;
  #failures = 0;
  #timer: number | undefined;
  #isPaused = false;
  readonly #states = new Set<Listener<ConnectionState>>();
  readonly #opens = new Set<Listener<Client>>();
  readonly #schemas = new Set<Listener<string>>();

  constructor() {
    document.addEventListener("visibilitychange", () => {
      this.#sendVisible();
      if (!document.hidden) this.#retryNow();
    });
    addEventListener("online", () => this.#retryNow());
    // The viewer does not catch the errors of its own requests.
    addEventListener("unhandledrejection", (event) => {
      if (String(event.reason).includes(LOST)) event.preventDefault();
    });
    void this.#connect();
  }

  /** Calls the listener at each change of the state; returns how to stop. */
  onState(listener: Listener<ConnectionState>): () => void {
    return listen(this.#states, listener);
  }

  /** Calls the listener with the present client and with each later one. */
  onOpen(listener: Listener<Client>): () => void {
    if (this.client && this.state === "open") listener(this.client);
    return listen(this.#opens, listener);
  }

  /** Calls the listener with the name of each table that has new columns. */
  onSchema(listener: Listener<string>): () => void {
    return listen(this.#schemas, listener);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Pauses or resumes updates. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#sendVisible();
  }

  async #connect(): Promise<void> {
    const perspective = await loadPerspective();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const client = new perspective.Client(
      async (bytes) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(bytes.slice());
      },
      async () => socket.close(),
    );
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.#receive(data);
      else void client.handle_response(new Uint8Array(data as ArrayBuffer));
    });
    socket.addEventListener("open", () => {
      this.#failures = 0;
      this.client = client;
      this.#enter("open");
      this.#sendVisible();
      for (const listener of this.#opens) listener(client);
    });
    socket.addEventListener("close", () => {
      // Fails the requests that wait for an answer of this connection.
      void client.handle_error(LOST).catch(() => undefined);
      if (this.#socket !== socket) return;
      this.#enter(this.client ? "reconnecting" : "connecting");
      this.#retryLater();
    });
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as { schema?: string };
    if (message.schema) for (const listener of this.#schemas) listener(message.schema);
  }

  #sendVisible(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const visible = !document.hidden && !this.#isPaused;
    this.#socket.send(JSON.stringify({ visible }));
  }

  #retryLater(): void {
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#retry(), pause * (0.75 + Math.random() / 2));
  }

  #retryNow(): void {
    if (this.state === "open" || this.#socket?.readyState === WebSocket.CONNECTING) return;
    clearTimeout(this.#timer);
    void this.#retry();
  }

  /** A socket has no status when it is refused; a request has. */
  async #retry(): Promise<void> {
    try {
      const answer = await fetch("/api/tables?entity=-", { credentials: "same-origin" });
      if (answer.status === 401) return logIn();
    } catch {
      return this.#retryLater();
    }
    await this.#connect();
  }

  #enter(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.#states) listener(state);
  }
}

function listen<T>(listeners: Set<Listener<T>>, listener: Listener<T>): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
