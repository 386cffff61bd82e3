// Lines of console output, as W&B clients send them.

export interface ConsoleText {
  text: string;
  /** When the line was written, in UTC. */
  at: string | null;
  /** Whether it was written to standard error. */
  isError: boolean;
}

/** Sequences that move the cursor, or set colours and titles of a terminal. */
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])/g;

/** Characters that a terminal does not draw. */
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

/** Reads a line, such as `ERROR 2026-01-01T12:00:00.123456 text`. A carriage return begins the line again. */
export function consoleLine(line: string): ConsoleText {
  const [, error, at, rest] = /^(ERROR )?(?:(\d{4}-\d\d-\d\dT[\d:.]+) )?([^]*)$/.exec(line.replace(/\r?\n$/, "")) ?? [];
  const written = (rest ?? line).replace(ESCAPES, "").replace(/\r+$/, "");
  const text = written.slice(written.lastIndexOf("\r") + 1).replace(CONTROLS, "");
  return { text, at: at ? `${at} UTC` : null, isError: error !== undefined };
}
