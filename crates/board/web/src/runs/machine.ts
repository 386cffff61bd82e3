import type { Points } from "./curves";
import { strict } from "./json-text";

/** The prefix of a machine's metrics. */
const PREFIX = "system.";

/** Returns the metrics of a machine over time, by name, from the lines that clients write. */
export function machineCurves(lines: string[]): Map<string, Points> {
  const found = new Map<string, Points>();
  for (const line of lines) {
    const event = parsed(line);
    const at = event["_timestamp"];
    if (typeof at !== "number") continue;
    for (const [name, value] of Object.entries(event)) {
      if (!name.startsWith(PREFIX) || typeof value !== "number") continue;
      const points = found.get(name.slice(PREFIX.length)) ?? { x: [], y: [] };
      points.x.push(at * 1_000);
      points.y.push(value);
      found.set(name.slice(PREFIX.length), points);
    }
  }
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true })));
}

function parsed(line: string): Record<string, unknown> {
  try {
    const event: unknown = JSON.parse(strict(line));
    return typeof event === "object" && event !== null ? (event as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
