// Events of a board: instants that its charts over time mark, such as deployments.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { TimeEvent } from "../chart/events";
import type { Connection } from "../live/connection";
import type { Filter } from "../live/perspective";
import { follow, readWindow, type Seen } from "./use-view";

/** Where events come from: the rows of a table, each named by a column, or one instant with a text. */
export type EventSource = { table: string; label: string | null } | { at: string; text: string };

/** How many events of a table are marked: the newest. */
const MOST_EVENTS = 200;

/** The shortest time between two reads of a table's events. */
const READ_MS = 1_000;

/** A source that cannot be read says why, by the key of the source. */
export type EventErrors = Record<string, string>;

export function keyOf(source: EventSource): string {
  return JSON.stringify("table" in source ? [source.table, source.label] : [source.at, source.text]);
}

/** Follows the events of a board's sources in its range. */
export function useEvents(
  connection: Connection,
  sources: EventSource[],
  range: Filter[],
): { events: TimeEvent[]; errors: EventErrors } {
  const [found, setFound] = useState<Record<string, TimeEvent[]>>({});
  const [errors, setErrors] = useState<EventErrors>({});
  const key = JSON.stringify([sources, range]);
  useEffect(() => {
    const stops = sources.map((source) => {
      if (!("table" in source)) return () => undefined;
      const id = keyOf(source);
      const columns = ["timestamp", ...(source.label === null || source.label === "timestamp" ? [] : [source.label])];
      const { stop } = follow(
        connection,
        source.table,
        { columns, filter: range },
        (view) => readWindow(view, { last: MOST_EVENTS }),
        {
          onRead: (seen) => {
            setFound((now) => ({ ...now, [id]: eventsIn(seen, source.table, source.label) }));
            setErrors(({ [id]: _over, ...rest }) => rest);
          },
          onError: (error) => setErrors((now) => ({ ...now, [id]: error })),
        },
        READ_MS,
      );
      return stop;
    });
    return () => {
      for (const stop of stops) stop();
    };
  }, [key, connection]);
  const events = useMemo(() => {
    const all = sources.flatMap((source) => ("table" in source ? (found[keyOf(source)] ?? []) : typed(source)));
    return all.sort((a, b) => a.at - b.at);
  }, [key, found]);
  return { events, errors };
}

function typed({ at, text }: { at: string; text: string }): TimeEvent[] {
  const instant = Date.parse(at);
  return Number.isFinite(instant) ? [{ at: instant, text }] : [];
}

/** Reads the events of a table's rows; one without a label has the table's name. */
export function eventsIn({ columns }: Pick<Seen, "columns">, table: string, label: string | null): TimeEvent[] {
  const labels = label === null ? [] : (columns[label] ?? []);
  return (columns["timestamp"] ?? []).flatMap((cell, i) => {
    const at = typeof cell === "number" ? cell : Date.parse(String(cell));
    const value = label === "timestamp" ? null : (labels[i] ?? null);
    const text = value === null || value === "" ? (table.split("/").at(-1) ?? table) : typeof value === "string" ? value : JSON.stringify(value);
    return Number.isFinite(at) ? [{ at, text }] : [];
  });
}
