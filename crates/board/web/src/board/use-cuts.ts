import { useEffect, useRef, useState } from "preact/hooks";
import type { Connection } from "../live/connection";
import { type Overlay, overlaid } from "../live/overlay";
import type { ViewerConfig } from "../live/perspective";
import { rowTimeOf, type Shapes } from "../values";
import { type Buckets, type Cut, cutOf, type Extent, extentView, readExtent, simplified } from "./buckets";
import { follow } from "./use-view";

/** The shortest time between two reads of a chart's extent. */
const READ_MS = 1_000;

export type Cuts = Record<string, Cut>;

/** How a chart without rows is cut. */
const NO_ROWS: Extent = { first: 0, last: 0 };

interface Chart {
  table: string;
  config: ViewerConfig & { buckets?: Buckets };
  overlay: Overlay;
  /** The span of the axis of time; its end is null if that is now. */
  span?: [number, number | null] | null;
}

/**
 * Follows the extents of a chart's buckets. Returns how to cut them for a width in pixels, or null
 * until all extents are known.
 */
export function useCuts(
  connection: Connection,
  { table, config, overlay, span = null }: Chart,
  shapes: Shapes | null,
  width: () => number,
): Cuts | null {
  const buckets = config.buckets ?? {};
  const names = Object.keys(buckets);
  const [cuts, setCuts] = useState<Cuts>({});
  const latest = useRef(cuts);
  const key = JSON.stringify([table, buckets, config.filter, config.expressions, overlay]);
  useEffect(() => {
    if (!shapes) return;
    const stops = Object.entries(buckets).map(([name, kept]) => {
      // A board may be older than the table's own column `timestamp`, which need not hold times.
      const isTime = kept.kind !== "time" || shapes.get(kept.column)?.isTime !== false;
      const bucket = isTime ? kept : { ...kept, column: rowTimeOf(shapes) };
      const shape = shapes.get(bucket.column);
      // Doubles go as numbers; integers that some double does not hold go as their digits.
      const isBig = bucket.kind === "number" && shape?.isInteger === true;
      const rows = { filter: config.filter ?? [], expressions: config.expressions ?? {} };
      const view = extentView(bucket, isBig, overlaid(rows, overlay));
      // The axis of a range is as long as the range, however close together its rows are.
      const least = span && bucket.kind === "time" && bucket.column === rowTimeOf(shapes) ? lengthOfSpan(span) : 0;
      const set = (extent: Extent | null) => {
        const cut = cutOf(bucket, atLeast(simplified(extent ?? NO_ROWS), least), width(), shape?.isInteger === true);
        if (latest.current[name]?.expression === cut.expression) return;
        latest.current = { ...latest.current, [name]: cut };
        setCuts(latest.current);
      };
      const events = { onRead: set, onError: () => latest.current[name] ?? set(null) };
      return follow(connection, table, view, (view) => readExtent(view, bucket, isBig), events, READ_MS);
    });
    return () => {
      for (const { stop } of stops) stop();
    };
  }, [key, shapes, connection]);
  return names.every((name) => cuts[name]) ? cuts : null;
}

/** A span up to now is rounded, so that buckets do not change from one moment to the next. */
function lengthOfSpan([from, to]: [number, number | null]): number {
  return to === null ? Math.round((Date.now() - from) / 1_000) * 1_000 : to - from;
}

function atLeast(extent: Extent, length: number): Extent {
  const first = Number(extent.first);
  return Number(extent.last) - first >= length ? extent : { first, last: first + length };
}
