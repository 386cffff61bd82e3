// How a figure changed from the former period, as long as the range of the board.

import { useEffect, useState } from "preact/hooks";
import type { Connection } from "../live/connection";
import type { ViewConfig } from "../live/perspective";
import { shortWithUnit, type Unit } from "../unit";
import { formatNumber } from "../values";
import { follow, readWindow } from "./use-view";

/** The shortest time between two reads of a former period, which rarely gets rows. */
const READ_MS = 2_000;

/** Follows the figures of the former period; null until they are known, and if there is no such period. */
export function useFormer(connection: Connection, table: string, config: ViewConfig | null): Record<string, unknown> | null {
  const [found, setFound] = useState<Record<string, unknown> | null>(null);
  const key = JSON.stringify([table, config]);
  useEffect(() => {
    if (!config) return setFound(null);
    const read = ({ columns }: { columns: Record<string, unknown[]> }) =>
      setFound(Object.fromEntries(Object.entries(columns).map(([name, [value]]) => [name, value])));
    return follow(connection, table, config, (view) => readWindow(view, { first: 1 }), { onRead: read }, READ_MS).stop;
  }, [key, connection]);
  return config && found;
}

interface ChangeProps {
  now: unknown;
  former: unknown;
  unit: Unit | null;
}

export function Change({ now, former, unit }: ChangeProps) {
  if (typeof now !== "number") return null;
  const text = typeof former === "number" ? changeText(now, former, unit) : "nothing before";
  return (
    <small class="change" title="Compared with the period of the same length before">
      {text}
    </small>
  );
}

/** Writes a change, such as `▲ 12 % from 50 ms`; shares in per cent differ by points. */
export function changeText(now: number, former: number, unit: Unit | null): string {
  const from = `from ${shortWithUnit(former, unit)}`;
  const difference = unit === "percent" ? now - former : former === 0 ? (now === 0 ? 0 : null) : (100 * (now - former)) / Math.abs(former);
  const arrow = now > former ? "▲" : "▼";
  // From nothing, a change has no size.
  if (difference === null || !Number.isFinite(difference)) return `${arrow} ${from}`;
  const size = Math.abs(difference);
  const shown = size < 10 ? Math.round(10 * size) / 10 : Math.round(size);
  if (shown === 0) return `as before: ${shortWithUnit(former, unit)}`;
  return `${arrow} ${formatNumber(shown)} ${unit === "percent" ? "points" : "%"} ${from}`;
}
