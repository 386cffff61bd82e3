import { useEffect, useState } from "preact/hooks";
import type { Connection, ConnectionState } from "../live/connection";

const TEXTS: Record<ConnectionState, string> = {
  connecting: "connecting…",
  open: "live",
  reconnecting: "reconnecting…",
};

export function useConnectionState(connection: Connection): ConnectionState {
  const [state, setState] = useState(connection.state);
  useEffect(() => {
    setState(connection.state);
    return connection.onState(setState);
  }, [connection]);
  return state;
}

/** Shows whether the page is connected, so that it is up to date. */
export function ConnectionMark({ connection, isPaused }: { connection: Connection; isPaused?: boolean }) {
  const state = useConnectionState(connection);
  const shown = state === "open" && isPaused ? "paused" : state;
  return (
    <span class={`connection ${shown}`} role="status" data-testid="connection">
      <span class="dot" aria-hidden="true" />
      {shown === "paused" ? "paused" : TEXTS[state]}
    </span>
  );
}
