// Splits Perspective's prebuilt viewer into files.
//
// Its makers publish the viewer with its charts as one module that contains two WebAssembly modules
// in base64 and three scripts in string literals, which it turns into blob URLs at run time. A page
// would have to load the query engine, which it never starts, and to allow scripts from blobs. This
// writes the parts into files of their own and makes the module name these files. The module is
// pinned by its hash; a part that is not found where it is expected is an error.

import { parse } from "acorn";
import { full } from "acorn-walk";

/** A longer text may be a script; one that is passed to a decoder is WebAssembly. */
const LONG = 10_000;

/** The charts that load nothing: maps would load tiles from another origin. */
const CHARTS = [
  "X Bar",
  "Y Bar",
  "Y Line",
  "Y Scatter",
  "Y Area",
  "X/Y Scatter",
  "X/Y Line",
  "Density",
  "Treemap",
  "Sunburst",
  "Heatmap",
  "Candlestick",
  "OHLC",
];

/**
 * Splits the module.
 *
 * @param {string} source the text of `perspective-anywidget.js`
 * @returns {Promise<{glue: string, charts: string, wasm: Uint8Array, main: (urls: {glue: string,
 *   charts: string, wasm: string}) => string}>}
 */
export async function takeApart(source) {
  const program = parse(source, { ecmaVersion: "latest", sourceType: "module" });
  const held = literals(program);
  const glue = one("glue", held.texts, (script) => script.text.includes("get_worker_url:"));
  const charts = one("charts", held.texts, (script) => script.text.includes("WorkerRenderer"));
  const viewer = one("viewer", held.modules, (module) => module.bytes.length < 2_000_000);
  const makers = addressMakers(program, held.texts);
  const tail = findTail(program);
  const columns = endlessColumns(source);

  const main = (urls) => {
    const edits = [columns];
    for (const { script } of makers) {
      edits.push({ ...one(script, held.texts, (it) => it.name === script), to: '""' });
    }
    for (const module of held.modules) edits.push({ ...module, to: "null" });
    const returning = (script, url) => {
      const maker = one("address", makers, (it) => it.script === script.name);
      edits.push({ ...maker, to: `{return ${JSON.stringify(url)}}` });
    };
    returning(glue, urls.glue);
    returning(charts, urls.charts);
    return `${edited(source, edits, tail.start)}\n${entry(tail.registerCharts, urls)}`;
  };
  const charted = withTicks(charts.text);
  return { glue: withoutHandlers(glue.text), charts: charted, wasm: await extracted(viewer.bytes), main };
}

/**
 * Returns an edit that ends a grid's columns. A grid that draws all of its columns counts them up to
 * infinity, and makes a style for each.
 */
function endlessColumns(source) {
  const range = /\w+\((\w+),\w+\)\{if\(this\.\w+==="none"\|\|this\.\w+==="vertical"\)return\{start_col:0,end_col:(1\/0)\}/dg;
  const { indices, 1: count } = one("columns", [...source.matchAll(range)], () => true);
  const [start, end] = indices[2];
  return { start, end, to: `${count}||this.table_model.num_columns()` };
}

/** Drops inline event handlers that the viewer sets as attributes: the page's policy forbids them. */
function withoutHandlers(source) {
  const call = /(\w+\(\w+\))\.setAttribute\((\w+),(\w+)\)/g;
  const calls = [...source.matchAll(call)].length;
  if (calls !== 1) throw new Error(`perspective: ${calls} candidates for setting attributes`);
  return source.replace(call, "/^on/.test($2)||$1.setAttribute($2,$3)");
}

/**
 * Replaces the formatters of axis ticks. Those of the charts round to two decimals, so that small
 * numbers are all `0.00`, and write instants within a second alike.
 */
function withTicks(source) {
  const program = parse(source, { ecmaVersion: "latest", sourceType: "module" });
  const functions = [];
  full(program, (node) => {
    if (node.type === "FunctionDeclaration") functions.push(node);
  });
  const text = ({ start, end }) => source.slice(start, end);
  const has = (parts) => (it) => parts.every((part) => text(it).includes(part)) && text(it).length < 1_500;
  const number = one("number ticks", functions, has(['"B"', '"M"', '"K"', "toFixed(1)"]));
  const time = one("time ticks", functions, has(['"ymd"', '"hms"', '"ym"']));
  const bodies = [
    [number, numberTick],
    [time, timeTick],
  ];
  const edits = bodies.map(([it, by]) => ({
    start: it.start,
    end: it.end,
    to: String(by).replaceAll("numberTick", number.id.name).replace("timeTick", it.id.name),
  }));
  return edited(source, edits, source.length);
}

/* These two run in the charts' worker. */

function numberTick(value) {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e15 || size < 1e-4) return Number(value.toPrecision(4)).toExponential().replace("e+", "e");
  for (const [unit, name] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    const short = Number((value / unit).toPrecision(4));
    // A shortened number must be the same number.
    if (size >= unit && Math.abs(short * unit - value) <= 1e-9 * size) return short + name;
  }
  return String(Number(value.toPrecision(12)));
}

function timeTick(value, step) {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return numberTick(value);
  const two = "2-digit";
  const day = { month: "short", day: "numeric" };
  const minute = { hour: two, minute: two, hour12: false };
  const second = { ...minute, second: two };
  const exact = value % 1e3 === 0 ? second : { ...second, fractionalSecondDigits: 3 };
  if (!(step > 0)) return at.toLocaleString(undefined, { ...day, year: "numeric", ...exact });
  if (step >= 28 * 864e5) return at.toLocaleString(undefined, { month: "short", year: "numeric" });
  if (step >= 864e5) return at.toLocaleString(undefined, day);
  if (step >= 216e5) return at.toLocaleString(undefined, { ...day, ...minute });
  if (step >= 6e4) return at.toLocaleString(undefined, minute);
  return at.toLocaleString(undefined, step >= 1e3 ? second : { ...second, fractionalSecondDigits: 3 });
}

function one(what, all, is) {
  const found = all.filter(is);
  if (found.length !== 1) throw new Error(`perspective: ${found.length} candidates for ${what}`);
  return found[0];
}

function literals(program) {
  const texts = [];
  const modules = [];
  full(program, (node) => {
    if (node.type === "VariableDeclarator" && isLong(node.init)) {
      const { start, end, value } = node.init;
      texts.push({ name: node.id.name, start, end, text: value });
    }
    if (node.type === "CallExpression" && isLong(node.arguments[0])) {
      const { start, end } = node;
      modules.push({ start, end, bytes: Buffer.from(node.arguments[0].value, "base64") });
    }
  });
  return { texts, modules };
}

function isLong(node) {
  return node?.type === "Literal" && typeof node.value === "string" && node.value.length > LONG;
}

/** Returns the bodies of the functions that make a blob of a script. */
function addressMakers(program, texts) {
  const names = new Set(texts.map((text) => text.name));
  const makers = [];
  full(program, (node) => {
    if (node.type !== "FunctionDeclaration") return;
    full(node.body, (inner) => {
      if (inner.type !== "NewExpression" || inner.callee.name !== "Blob") return;
      const part = inner.arguments[0]?.elements?.[0];
      if (part?.type !== "Identifier" || !names.has(part.name)) return;
      makers.push({ script: part.name, start: node.body.start, end: node.body.end });
    });
  });
  return makers;
}

/**
 * Finds the start of the widget for notebooks: the call that registers all charts is followed by the
 * statement that declares the export `ready`.
 */
function findTail(program) {
  const exported = program.body.find((node) => node.type === "ExportNamedDeclaration");
  const ready = exported.specifiers.find((it) => it.exported.name === "ready").local.name;
  const declares = (node) =>
    node.type === "VariableDeclaration" && node.declarations.some((it) => it.id.name === ready);
  const call = program.body[program.body.findIndex(declares) - 1];
  if (call?.expression?.type !== "CallExpression" || call.expression.arguments.length > 0) {
    throw new Error("perspective: the charts are not registered where they were");
  }
  return { start: call.start, registerCharts: call.expression.callee.name };
}

/** Unpacks the module, which is packed in a small program that unpacks it. */
async function extracted(bytes) {
  const module = await WebAssembly.compile(bytes);
  const { memory, resize, compile } = (await WebAssembly.instantiate(module)).exports;
  const [packed] = WebAssembly.Module.customSections(module, "psp-runtime");
  const [length] = WebAssembly.Module.customSections(module, "psp-len");
  const size = new DataView(length).getUint32(0, true);
  const at = resize(packed.byteLength);
  new Uint8Array(memory.buffer).set(new Uint8Array(packed), at);
  const out = compile(packed.byteLength, size);
  return new Uint8Array(memory.buffer).slice(out, out + size);
}

function edited(source, edits, end) {
  let text = "";
  let at = 0;
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    if (edit.start >= end) continue;
    text += source.slice(at, edit.start) + edit.to;
    at = edit.end;
  }
  return text + source.slice(at, end);
}

function entry(registerCharts, { glue, wasm }) {
  return `
    ${registerCharts}(...${JSON.stringify(CHARTS)});
    export async function start() {
      const [viewer, module] = await Promise.all([
        import(${JSON.stringify(glue)}),
        WebAssembly.compileStreaming(fetch(${JSON.stringify(wasm)})),
      ]);
      await viewer.default({ module_or_path: module });
      await viewer.init(module, new URL(${JSON.stringify(glue)}, location.href).href);
      return viewer;
    }`;
}
