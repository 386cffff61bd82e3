// Events of a board: instants that its charts over time mark, such as deployments.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { TimeEvent } from "../chart/events";
import type { Connection } from "../live/connection";
import type { Filter, View } from "../live/perspective";
import { rowTimeOf, type Shapes } from "../values";
import { shapesOfTable } from "./shapes";
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
  range: (shapes: Shapes) => Filter[],
): { events: TimeEvent[]; errors: EventErrors } {
  const [found, setFound] = useState<Record<string, TimeEvent[]>>({});
  const [errors, setErrors] = useState<EventErrors>({});
  const key = JSON.stringify([sources, range(new Map())]);
  useEffect(() => {
    const stops = sources.map((source) => {
      if (!("table" in source)) return () => undefined;
      const id = keyOf(source);
      const onError = (error: string) => setErrors((now) => ({ ...now, [id]: error }));
      let stop = () => undefined as void;
      let isOver = false;
      const start = (shapes: Shapes) => {
        if (isOver) return;
        const time = rowTimeOf(shapes);
        const columns = [...new Set([time, source.label ?? time])];
        const onRead = (seen: Seen) => {
          setFound((now) => ({ ...now, [id]: eventsIn(seen, source.table, time, source.label) }));
          setErrors(({ [id]: _over, ...rest }) => rest);
        };
        const read = (view: View) => readWindow(view, { last: MOST_EVENTS });
        ({ stop } = follow(connection, source.table, { columns, filter: range(shapes) }, read, { onRead, onError }, READ_MS));
      };
      shapesOfTable(source.table).then(start, (error: Error) => onError(error.message));
      return () => {
        isOver = true;
        stop();
      };
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
export function eventsIn({ columns }: Pick<Seen, "columns">, table: string, time: string, label: string | null): TimeEvent[] {
  const labels = label === null ? [] : (columns[label] ?? []);
  return (columns[time] ?? []).flatMap((cell, i) => {
    const at = typeof cell === "number" ? cell : Date.parse(String(cell));
    const value = label === time ? null : (labels[i] ?? null);
    const text = value === null || value === "" ? (table.split("/").at(-1) ?? table) : typeof value === "string" ? value : JSON.stringify(value);
    return Number.isFinite(at) ? [{ at, text }] : [];
  });
}
