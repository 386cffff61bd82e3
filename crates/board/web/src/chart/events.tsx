// Events on axes of time: vertical lines with their texts.

import { createContext } from "preact";
import { visible } from "../values";
import type { Figure } from "./figure";
import type { Drawing } from "./use-drawing";
import { instantText } from "./time";

/** An instant with a text, such as a deployment. */
export interface TimeEvent {
  at: number;
  text: string;
}

/** The events that all charts over time mark, oldest first. */
export const Events = createContext<TimeEvent[]>([]);

/** The least room in which a text is readable. */
const TEXT_PX = 36;

/** The most room that a text takes. */
const MOST_PX = 140;

/** How far from an event the pointer may be. */
const REACH_PX = 5;

/** The longest text of an event that is shown. */
const LONGEST = 80;

export function eventText({ text }: TimeEvent): string {
  const shown = visible(text).replace(/\s+/g, " ");
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST)}…` : shown;
}

interface EventLinesProps {
  events: TimeEvent[];
  drawing: Drawing;
  /** A value that the axis of values has. */
  value: number;
  width: number;
  isBare: boolean;
}

/** Lines at the events of a chart, each with its text if there is room before the next one. */
export function EventLines({ events, drawing, value, width, isBare }: EventLinesProps) {
  const placed = placedIn(events, drawing, value);
  return (
    <>
      {placed.map(({ event, x }, i) => {
        const room = Math.min(MOST_PX, (placed[i + 1]?.x ?? width) - x - 6);
        return (
          <div key={`${event.at} ${i}`} class="chart-event" style={{ left: `${x}px` }} data-testid="event">
            {!isBare && room >= TEXT_PX && (
              <span style={{ maxWidth: `${room}px` }}>
                <bdi>{eventText(event)}</bdi>
              </span>
            )}
          </div>
        );
      })}
    </>
  );
}

function placedIn(events: TimeEvent[], { figure, toPixel }: Drawing, value: number): { event: TimeEvent; x: number }[] {
  const [from, to] = figure.span ?? [0, 0];
  return events.flatMap((event) => {
    const pixel = event.at < from || event.at > to ? null : toPixel([event.at, value]);
    return pixel ? [{ event, x: pixel[0] }] : [];
  });
}

/** Returns the events in the bucket of a mark, and those under the pointer. */
export function eventsAt(events: TimeEvent[], drawing: Drawing, value: number, index: number, pointer: number | null): TimeEvent[] {
  const start = Number(drawing.figure.data.keys[index]?.[0]);
  const end = start + Math.max(1, drawing.figure.step ?? 0);
  return placedIn(events, drawing, value)
    .filter(({ event, x }) => (event.at >= start && event.at < end) || (pointer !== null && Math.abs(x - pointer) <= REACH_PX))
    .map(({ event }) => event);
}

/** How many events a tooltip names. */
const NAMED = 5;

/** Returns the lines of a tooltip that name events. */
export function eventLines(events: TimeEvent[], figure: Figure): { name: string; value: string; series: number }[] {
  const day = figure.span?.[0];
  const lines = events.slice(0, NAMED).map((event) => ({ name: eventText(event), value: instantText(event.at, day), series: -1 }));
  return events.length > NAMED ? [...lines, { name: `and ${events.length - NAMED} more events`, value: "", series: -1 }] : lines;
}
