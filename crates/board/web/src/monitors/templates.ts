// First monitors of a table, from the roles of its columns.

import { rolesOf } from "../board/roles";
import { failed } from "../board/templates";
import { quoted } from "../sql-text";
import type { Shapes } from "../values";
import { type MonitorDocument, newMonitor } from "./document";

export interface MonitorTemplate {
  name: string;
  title: string;
  about: string;
  /** Why it does not fit the table; null if it does. */
  reason: string | null;
  document: MonitorDocument | null;
}

const TRUTH = /^(truth|label|target|y|y_true|expected|actual|ground_truth)$/;
const PREDICTION = /^(prediction|predicted|pred|y_pred|output_label)$/;
const SCORE = /(^|_)(score|confidence|probability|prob)$/;

/** Returns the templates for a table; those that do not fit say why. */
export function templatesFor(table: string, shapes: Shapes): MonitorTemplate[] {
  const roles = rolesOf(shapes);
  const name = table.split("/").at(-1) ?? table;
  const find = (pattern: RegExp) => [...shapes.keys()].find((it) => pattern.test(it.toLowerCase())) ?? null;
  const [truth, prediction] = [find(TRUTH), find(PREDICTION)];
  const right = find(/^(correct|is_correct)$/);
  const isRight = right ? quoted(right) : truth && prediction ? `${quoted(prediction)} = ${quoted(truth)}` : null;
  const error = failed(roles);
  const drifting = find(SCORE) ?? prediction ?? roles.measures[0] ?? null;
  const make = (title: string, changes: Partial<MonitorDocument>) => newMonitor(table, { title: `${title} of ${name}`, ...changes });
  const all: [string, string, string, string, MonitorDocument | null][] = [
    [
      "accuracy",
      "Accuracy below",
      "the share of right predictions falls",
      "needs columns such as prediction and truth, or correct",
      isRight === null
        ? null
        : make("Accuracy", {
            window: { rows: 500 },
            severity: "error",
            condition: { kind: "threshold", value: `avg(CASE WHEN ${isRight} THEN 1.0 ELSE 0.0 END)`, below: 0.9, recover: 0.92 },
          }),
    ],
    [
      "errors",
      "Error rate above",
      "the share of failed rows rises",
      "needs a column such as status, ok or error",
      error === null
        ? null
        : make("Share of errors in %", { severity: "error", condition: { kind: "threshold", value: `avg(${error})`, above: 5, recover: 2 } }),
    ],
    [
      "latency",
      "p95 latency above",
      "slow rows become slower",
      "needs a duration, such as latency_ms",
      roles.duration === null
        ? null
        : make(`p95 of ${roles.duration}`, {
            condition: { kind: "threshold", value: `approx_percentile_cont(${quoted(roles.duration)}, 0.95)`, above: 500, recover: 400 },
          }),
    ],
    ["silence", "Silence", "no rows arrive for some time", "", make("Silence", { for: "0s", no_data: "keep", condition: { kind: "no_rows" } })],
    [
      "drift",
      "Drift",
      drifting === null ? "a distribution changes" : `the distribution of ${drifting} changes`,
      "needs a score, a prediction or a measure",
      drifting === null
        ? null
        : make(`Drift of ${drifting}`, { window: { last: "1h" }, condition: { kind: "drift", column: quoted(drifting), method: "psi", above: 0.25 } }),
    ],
  ];
  return all.map(([name, title, about, need, document]) => ({ name, title, about, document, reason: document ? null : need }));
}
