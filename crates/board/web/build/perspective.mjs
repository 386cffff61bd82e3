// Takes Perspective's prebuilt viewer apart.
//
// Its makers publish the viewer, with its charts, as one module that holds everything as text: two
// WebAssembly modules in base64 and three scripts in string literals, which it turns into blob
// addresses at run time. A page would have to load the query engine that it never starts, and to
// allow scripts from blobs. So what it holds becomes files of its own, and the places that made
// addresses name them. The module is pinned by its hash; what is not where it is expected is an
// error.

import { parse } from "acorn";
import { full } from "acorn-walk";

/** A text longer than this may be a script; one handed to a decoder is WebAssembly. */
const LONG = 10_000;

/** The charts that need nothing but the data; maps would load tiles from elsewhere. */
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
 * Takes the module apart.
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

  const main = (urls) => {
    const edits = [];
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
  return { glue: glue.text, charts: charts.text, wasm: await extracted(viewer.bytes), main };
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

/** The bodies of the functions that make a blob of a script. */
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
 * Where the widget for notebooks begins: after the call that registers all charts comes the statement
 * that declares what is exported as ready.
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

/** Unpacks the module, which comes as a small program that unpacks it. */
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
