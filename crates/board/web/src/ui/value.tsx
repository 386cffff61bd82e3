// A cell's value in full, from its JSON text: the text has digits that a number would lose.

import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";
import { type FieldPath, fieldName } from "../grid/fields";
import { cellsOf, itemsOf } from "../json";
import { formatFloat, mediaOf, oddFloat, plural, visible } from "../values";
import { Button } from "./button";
import { MediaView } from "./media";

/** A column whose fields can become columns. */
interface Fields {
  column: string;
  /** Called with the way to a field, and its JSON. */
  onField(path: FieldPath, json: string): void;
}

/** The column that is shown; null where no columns can be made. */
export const Fields = createContext<Fields | null>(null);

export function Value({ text, table }: { text: string; table: string }): ComponentChildren {
  if (text === "null") return <span class="null">null</span>;
  if (!/^["[{]/.test(text)) return <code>{text}</code>;
  const value: unknown = JSON.parse(text);
  const media = mediaOf(value, table);
  if (media) return <MediaView media={media} />;
  if (typeof value === "string") return <Text text={value} />;
  const messages = messagesOf(value);
  if (messages) return <Chat messages={messages} />;
  const scores = scoresOf(value);
  return (
    <>
      {scores && <Scores scores={scores} />}
      {!scores && Array.isArray(value) && <Sparkline values={value} />}
      <Tree text={text} path={[]} isOpen={!scores && text.length < 400} />
    </>
  );
}

function Text({ text }: { text: string }) {
  const odd = oddFloat(text);
  if (odd) return <span class="odd">{odd}</span>;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text)) return <Instant text={text} />;
  if (/^https?:\/\/[^\s]+$/.test(text)) {
    return (
      <a href={text} target="_blank" rel="noopener noreferrer">
        {visible(text)}
      </a>
    );
  }
  return <p class="text">{text === "" ? <span class="null">empty text</span> : text}</p>;
}

function Instant({ text }: { text: string }) {
  const at = new Date(text);
  return (
    <time dateTime={text} title={text}>
      {at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false })} <small>{text}</small>
    </time>
  );
}

/** A nested value whose parts open one by one. */
function Tree({ text, path, isOpen }: { text: string; path: FieldPath; isOpen: boolean }) {
  const isList = text.startsWith("[");
  const parts: [string, string][] = isList ? itemsOf(text).map((item, i) => [String(i), item]) : cellsOf(text);
  if (parts.length === 0) return <code>{isList ? "[]" : "{}"}</code>;
  const shown = parts.slice(0, MOST_PARTS);
  return (
    <details class="tree" open={isOpen}>
      <summary>{isList ? plural(parts.length, "item") : plural(parts.length, "field")}</summary>
      <ul>
        {shown.map(([name, part]) => {
          const here = [...path, isList ? Number(name) : name];
          return (
            <li key={name}>
              <bdi class="tree-name">{name}</bdi>{" "}
              {/^[[{]/.test(part) ? <Tree text={part} path={here} isOpen={part.length < 200} /> : <Leaf text={part} />}
              {part !== "null" && <MakeColumn path={here} json={part} />}
            </li>
          );
        })}
        {parts.length > shown.length && <li class="null">and {plural(parts.length - shown.length, "more item")}</li>}
      </ul>
    </details>
  );
}

function MakeColumn({ path, json }: { path: FieldPath; json: string }) {
  const fields = useContext(Fields);
  if (!fields) return null;
  const { column, onField } = fields;
  return <Button icon="add" label={`Make a column of ${visible(fieldName(column, path))}`} bare onClick={() => onField(path, json)} />;
}

/** The most parts of a list or an object that the tree shows. */
const MOST_PARTS = 200;

function Leaf({ text }: { text: string }) {
  if (text === "null") return <span class="null">null</span>;
  if (!text.startsWith('"')) return <code>{text}</code>;
  return <span class="tree-text">{String(JSON.parse(text))}</span>;
}

/** Reads numbers by name, such as the scores of classes; null for other values. */
function scoresOf(value: unknown): [string, number][] | null {
  if (Array.isArray(value) || typeof value !== "object" || value === null) return null;
  const parts = Object.entries(value);
  const areScores = parts.length >= 2 && parts.length <= 40 && parts.every(([, part]) => typeof part === "number" && part >= 0);
  return areScores ? (parts as [string, number][]) : null;
}

function Scores({ scores }: { scores: [string, number][] }) {
  const most = Math.max(...scores.map(([, score]) => score), 1e-300);
  return (
    <ul class="scores">
      {scores.map(([name, score]) => (
        <li key={name}>
          <bdi>{name}</bdi>
          <i style={{ width: `${(100 * score) / most}%` }} class={score === most ? "most" : ""} />
          <code>{formatFloat(Number(score.toPrecision(4)))}</code>
        </li>
      ))}
    </ul>
  );
}

const SPARK = { width: 240, height: 36 };

/** A list of numbers as a line; nothing for other lists. */
function Sparkline({ values }: { values: unknown[] }) {
  const numbers = values.filter((it) => typeof it === "number");
  if (numbers.length < 4 || numbers.length !== values.length) return null;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const point = (value: number, i: number) => {
    const x = (i / (numbers.length - 1)) * SPARK.width;
    const y = SPARK.height - 2 - ((value - low) / (high - low || 1)) * (SPARK.height - 4);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  return (
    <figure class="spark">
      <svg viewBox={`0 0 ${SPARK.width} ${SPARK.height}`} width={SPARK.width} height={SPARK.height} aria-hidden="true">
        <polyline points={numbers.map(point).join(" ")} fill="none" stroke="var(--accent)" stroke-width="1.4" />
      </svg>
      <figcaption>
        {formatFloat(low)} – {formatFloat(high)}
      </figcaption>
    </figure>
  );
}

interface Message {
  role: string;
  text: string;
}

/** Reads a conversation with a language model; null for other values. */
function messagesOf(value: unknown): Message[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages = value.map((it) => {
    const { role, content } = (it ?? {}) as { role?: unknown; content?: unknown };
    if (typeof role !== "string" || content === undefined) return null;
    return { role, text: typeof content === "string" ? content : JSON.stringify(content, null, 2) };
  });
  return messages.every((it) => it !== null) ? messages : null;
}

function Chat({ messages }: { messages: Message[] }) {
  return (
    <ol class="chat">
      {messages.map(({ role, text }, i) => (
        <li key={i} class={role === "user" ? "user" : ""}>
          <small>{visible(role)}</small>
          <p class="text">{text}</p>
        </li>
      ))}
    </ol>
  );
}
