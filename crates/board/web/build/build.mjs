// Builds the page: `node build/build.mjs <folder of the unpacked wheel> <folder to write>`.
//
// The same inputs give the same bytes: names have hashes of contents, and nothing has a time.
// Writes each file compressed, and `assets.rs`, which lists them for the crate that embeds them.
// `--check` compares the existing files instead; `--dev` writes files without compression, to try
// them without the crate.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import * as esbuild from "esbuild";

import { takeApart } from "./perspective.mjs";
import { licences } from "./licences.mjs";

const WEB = dirname(dirname(fileURLToPath(import.meta.url)));
const TYPES = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
};

const [wheel, out, flag] = process.argv.slice(2);
if (!out) throw new Error("usage: build.mjs WHEEL OUT [--check | --dev]");
const isDev = flag === "--dev";
const files = [];

/** Adds a file, and returns its address in the page. */
function add(name, content, { hashed = true } = {}) {
  const bytes = Buffer.from(content);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const [stem, extension] = name.split(/\.(?=[^.]+$)/);
  const path = hashed ? `${stem}-${digest.slice(0, 10)}.${extension}` : name;
  files.push({ name, path, type: TYPES[extension], digest, bytes });
  return `/assets/${path}`;
}

async function bundle(options) {
  return (await outputs(options))[0].text;
}

/** Bundles entry points, and what they share; returns the files. */
async function outputs(options) {
  const result = await esbuild.build({
    absWorkingDir: WEB,
    bundle: true,
    charset: "utf8",
    format: "esm",
    legalComments: "none",
    loader: { ".shadow.css": "text" },
    logLevel: "warning",
    minify: !isDev,
    target: "es2022",
    write: false,
    ...options,
  });
  return result.outputFiles;
}

/** The parts of the page's script by their names in the bundle, those that others import first. */
const PARTS = { "chunk.js": "shared.js", "later.js": "later.js", "app.js": "app.js" };

/** Adds the page's script in parts: what few readers need is loaded when it is shown. Returns the parts' addresses. */
async function addScript(options) {
  const entryPoints = { app: "src/main.tsx" };
  const found = await outputs({ ...options, entryPoints, splitting: true, outdir: "out", chunkNames: "[name]" });
  const texts = new Map(found.map(({ path, text }) => [basename(path), text]));
  const addresses = {};
  for (const [part, name] of Object.entries(PARTS)) {
    let text = texts.get(part);
    texts.delete(part);
    if (text === undefined) throw new Error(`the bundle has no ${part}`);
    for (const [other, address] of Object.entries(addresses)) text = text.replaceAll(`"./${other}"`, JSON.stringify(address));
    addresses[part] = add(name, text);
  }
  if (texts.size > 0) throw new Error(`the bundle has further parts: ${[...texts.keys()].join(", ")}`);
  return addresses;
}

const widget = join(wheel, "perspective/widget/static");
const parts = await takeApart(await readFile(join(widget, "perspective-anywidget.js"), "utf8"));
const urls = {
  glue: add("viewer-glue.js", parts.glue),
  charts: add("viewer-charts.js", parts.charts),
  wasm: add("viewer.wasm", parts.wasm),
};
const external = ["/assets/*"];
const viewer = await bundle({
  stdin: { contents: parts.main(urls), resolveDir: WEB },
  external,
  minify: true,
});
const charts = await bundle({ entryPoints: ["src/chart/library.ts"] });
const define = {
  CHARTS_URL: JSON.stringify(add("charts.js", charts)),
  VIEWER_URL: JSON.stringify(add("viewer.js", viewer)),
  VIEWER_CSS_URL: JSON.stringify(
    add("viewer.css", await readFile(join(widget, "perspective-anywidget.css"))),
  ),
};
const script = await addScript({ define, external });
const app = {
  script: script["app.js"],
  shared: script["chunk.js"],
  style: add("app.css", await bundle({ entryPoints: ["src/style/main.css"] })),
};
// The server's small pages name it too.
const icon = add("icon.svg", await readFile(join(WEB, "src/icon.svg")), { hashed: false });
add("licences.txt", await licences(WEB, wheel), { hashed: false });
const shell = (await readFile(join(WEB, "src/index.html"), "utf8"))
  .replace("{script}", app.script)
  .replace("{shared}", app.shared)
  .replace("{style}", app.style)
  .replace("{icon}", icon);

if (flag === "--check") await check();
else await write();

/** Compares the decompressed contents, since compressors differ. */
async function check() {
  const wanted = new Map(files.map(({ name, bytes }) => [`${name}.br`, bytes]));
  wanted.set("index.html", Buffer.from(shell));
  wanted.set("assets.rs", Buffer.from(list()));
  const wrong = (await readdir(out)).filter((name) => !wanted.has(name));
  for (const [name, bytes] of wanted) {
    const there = await readFile(join(out, name)).catch(() => null);
    const content = there && name.endsWith(".br") ? brotliDecompressSync(there) : there;
    if (!content?.equals(bytes)) wrong.push(name);
  }
  if (wrong.length === 0) return;
  console.error(`differs from its sources: ${wrong.join(", ")}; \`cargo xtask board\` builds it`);
  process.exitCode = 1;
}

/** Compresses before it writes, and deletes at the end, so that a build of the crate finds its files. */
async function write() {
  const written = new Map([["index.html", shell]]);
  for (const { name, path, bytes } of files) {
    if (isDev) written.set(basename(path), bytes);
    else written.set(`${name}.br`, compressed(bytes));
  }
  if (!isDev) written.set("assets.rs", list());
  await mkdir(out, { recursive: true });
  for (const [name, content] of written) await writeFile(join(out, name), content);
  for (const name of await readdir(out)) {
    if (!written.has(name)) await rm(join(out, name), { recursive: true });
  }
}

function compressed(bytes) {
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

function list() {
  const entries = files
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(
      ({ name, path, type, digest }) => `    Asset {
        path: "${path}",
        content_type: "${type}",
        brotli: include_bytes!("${name}.br"),
        etag: "\\"${digest.slice(0, 32)}\\"",
        is_immutable: ${path !== name},
    },
`,
    );
  return `// Written by \`cargo xtask board\`.
[
${entries.join("")}]
`;
}
