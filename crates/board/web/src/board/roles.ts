// What columns are for, guessed from their names and types.

import { unitOf } from "../unit";
import { type Shape, type Shapes, SYSTEM_COLUMNS } from "../values";

export interface Roles {
  duration: string | null;
  status: string | null;
  /** Whether a row went well, or failed. */
  outcome: { column: string; isError: boolean } | null;
  /** Texts that repeat, such as paths and models. */
  categories: string[];
  measures: string[];
  image: string | null;
  step: string | null;
  run: string | null;
  tokens: string[];
  cost: string | null;
  /** Conversations, prompts or completions. */
  messages: string | null;
  model: string | null;
}

const DURATION = /(^|_)(latency|duration|elapsed|runtime|took|ms|millis|seconds)(_|$)/;
const STATUS = /^(http_)?(status|status_code|code)$/;
const ERROR = /^(is_)?(error|failed|failure|exception)$/;
const OK = /^(is_)?(ok|success|succeeded)$/;
const ID = /(^|_)(id|ids|uid|uuid|key|hash|seed|index|idx|token)$/;
const STEP = /^(global_)?(step|steps|iteration|iter|epoch)$/;
const RUN = /^(run|run_id|run_name|experiment|trial)$/;
const TOKENS = /(^|_)tokens(_|$)/;
const MESSAGES = /^(messages|conversation|chat|prompt|completion|response|output|inputs|outputs)$/;
const LONG = /^(prompt|completion|response|output|message|text|body|trace|stack|error|url)$/;
const MODEL = /^model(_name|_id)?$/;

/** Names of columns of predictions and of the truth; the server's templates know the same (`suggest.rs`). */
export const PREDICTION = /^(prediction|pred|predicted|y_pred|y_hat|guess|output_label)$/i;
export const TRUTH = /^(truth|label|target|actual|y_true|y|expected|ground_truth)$/i;

export function rolesOf(shapes: Shapes): Roles {
  const all = [...shapes].filter(([name]) => !SYSTEM_COLUMNS.has(name));
  const first = (is: (name: string, shape: Shape) => boolean) =>
    all.find(([name, shape]) => is(name.toLowerCase(), shape))?.[0] ?? null;
  const isNumber = (shape: Shape) => shape.isFloat || shape.isInteger;
  const isText = (shape: Shape) => !isNumber(shape) && !shape.isBool && !shape.isMedia && !shape.isNested && !shape.isTime;
  const error = first((name, shape) => ERROR.test(name) && !shape.isNested);
  const ok = first((name, shape) => OK.test(name) && shape.isBool);
  const isPlainNumber = (name: string) => !ID.test(name) && !STATUS.test(name) && !STEP.test(name);
  return {
    duration: first((name, shape) => DURATION.test(name) && isNumber(shape)),
    status: first((name, shape) => STATUS.test(name) && isNumber(shape)),
    outcome: ok !== null ? { column: ok, isError: false } : error !== null ? { column: error, isError: true } : null,
    categories: all.filter(([name, shape]) => isText(shape) && !ID.test(name) && !LONG.test(name)).map(([name]) => name),
    measures: all.filter(([name, shape]) => isNumber(shape) && isPlainNumber(name.toLowerCase())).map(([name]) => name),
    image: first((_, shape) => shape.isMedia),
    step: first((name, shape) => STEP.test(name) && isNumber(shape)),
    run: first((name, shape) => RUN.test(name) && !shape.isNested),
    tokens: all.filter(([name, shape]) => TOKENS.test(name.toLowerCase()) && isNumber(shape)).map(([name]) => name),
    cost: first((name, shape) => (unitOf(name) === "usd" || name === "cost") && isNumber(shape)),
    messages: first((name, shape) => MESSAGES.test(name) && !isNumber(shape) && !shape.isMedia),
    model: first((name, shape) => MODEL.test(name) && isText(shape)),
  };
}
