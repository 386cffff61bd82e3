// What the page computes without a browser.

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

globalThis.location = new URL("http://127.0.0.1:8080/");
globalThis.history = { replaceState: (_state, _title, url) => (location.href = new URL(url, location)) };
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });

const contents = `
  export { settle, place, overlap } from "./src/board/layout";
  export { freeName, nameOf } from "./src/board/document";
  export { History } from "./src/board/history";
  export { rangeFilters, rangeLabel } from "./src/board/range";
  export { putViewInAddress, viewInAddress } from "./src/link";
  export { cellsOf, indented } from "./src/json";
  export * from "./src/values";
`;
const bundle = await esbuild.build({
  stdin: { contents, resolveDir: dirname(dirname(fileURLToPath(import.meta.url))), loader: "ts" },
  bundle: true,
  format: "esm",
  write: false,
});
const page = await import(`data:text/javascript,${encodeURIComponent(bundle.outputFiles[0].text)}`);

/** Numbers that are the same in each run. */
function random(seed) {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

test("panels never overlap, never hang, and settling settles", () => {
  const next = random(7);
  const pick = (n) => Math.floor(next() * n);
  for (let round = 0; round < 300; round++) {
    const panels = Array.from({ length: 1 + pick(9) }, (_, i) => ({
      id: String(i),
      layout: { x: pick(14) - 1, y: pick(20) - 1, w: pick(15), h: pick(9) },
    }));
    let settled = page.settle(panels);
    for (let move = 0; move < 4; move++) {
      const id = String(pick(panels.length));
      settled = page.place(settled, id, { x: pick(12), y: pick(20), w: 1 + pick(12), h: 1 + pick(8) });
      const places = settled.map((panel) => panel.layout);
      for (const [i, a] of places.entries()) {
        assert.ok(a.x >= 0 && a.x + a.w <= 12 && a.y >= 0, JSON.stringify(a));
        for (const b of places.slice(i + 1)) assert.ok(!page.overlap(a, b), JSON.stringify([a, b]));
        const above = { ...a, y: a.y - 1 };
        const isHeld = a.y === 0 || places.some((b) => b !== a && page.overlap(above, b));
        assert.ok(isHeld, JSON.stringify(places));
      }
      assert.deepEqual(page.settle(settled), settled);
    }
  }
});

test("names of boards", () => {
  assert.equal(page.nameOf(" My board: 1/2 "), "My-board-1-2");
  assert.equal(page.nameOf("…"), "board");
  assert.equal(page.nameOf("x".repeat(300)).length, 100);
  assert.equal(page.freeName("a", ["a", "a-2"]), "a-3");
});

test("undo and redo", () => {
  const history = new page.History({ n: 0 });
  history.push({ n: 0 });
  assert.equal(history.canUndo, false);
  history.push({ n: 1 });
  history.push({ n: 2 });
  history.undo();
  assert.deepEqual(history.now, { n: 1 });
  history.redo();
  assert.deepEqual(history.now, { n: 2 });
  history.undo();
  history.undo();
  history.push({ n: 3 });
  assert.deepEqual([history.now, history.canRedo, history.canUndo], [{ n: 3 }, false, true]);
});

test("ranges", () => {
  assert.deepEqual(page.rangeFilters({ last: "15m" }, 1e9), [["timestamp", ">=", 1e9 - 900_000]]);
  for (const none of [null, { last: "" }, { last: "15" }, { last: "99999m" }, { last: "1y" }]) {
    assert.deepEqual(page.rangeFilters(none, 1e9), []);
  }
  const range = { from: "2026-01-02T03:04:05Z", to: "2026-01-02T03:04:06Z" };
  const [from, to] = page.rangeFilters(range, 0);
  assert.deepEqual([from, to[2] - from[2]], [["timestamp", ">=", Date.UTC(2026, 0, 2, 3, 4, 5)], 1_000]);
  assert.equal(page.rangeLabel({ last: "1h" }), "Last hour");
  assert.equal(page.rangeLabel({ last: "7d" }), "Last 7 days");
});

test("a view in the address is the same view", async () => {
  const view = { columns: ["a", "ü \u202e <script>"], filter: [["a", "==", "x".repeat(5_000)]] };
  await page.putViewInAddress(view);
  assert.match(location.hash, /^#view=[\w-]+$/);
  assert.deepEqual(await page.viewInAddress(), view);
  for (const broken of ["#view=%%%", "#view=AAAA", "#other"]) {
    location.hash = broken;
    assert.equal(await page.viewInAddress(), null);
  }
});

test("JSON keeps its numbers", () => {
  const json = `{"a":9007199254740993,"b":"x,\\"}{","c":[1,{"d":[]}],"":{},"e":1e400,"f":null}`;
  assert.deepEqual(page.cellsOf(json), [
    ["a", "9007199254740993"],
    ["b", '"x,\\"}{"'],
    ["c", '[1,{"d":[]}]'],
    ["", "{}"],
    ["e", "1e400"],
    ["f", "null"],
  ]);
  assert.deepEqual(page.cellsOf("{}"), []);
  const shown = page.indented('{"a":[1,{"b":123456789012345678901}],"c":{},"d":"{,:"}');
  assert.equal(
    shown,
    '{\n  "a": [\n    1,\n    {\n      "b": 123456789012345678901\n    }\n  ],\n  "c": {},\n  "d": "{,:"\n}',
  );
});

test("types", () => {
  const shape = (type) => page.shapesOf([{ name: "c", type }]).get("c");
  const is = (type, ...names) => {
    const found = Object.entries(shape(type)).filter(([, is]) => is);
    assert.deepEqual(found.map(([name]) => name).sort(), names.sort(), type);
  };
  is("int", "isInteger");
  is("int?", "isInteger");
  is("float?", "isFloat");
  is("string");
  is("timestamp?", "isTime");
  is("image?", "isMedia");
  is("int | string | image | null", "isMedia", "isUnion");
  is("list<int | string>", "isNested");
  is("struct{a: int, b: image?}?", "isNested");
});

test("media, from this server only", () => {
  const cell = (more) => JSON.stringify({ _type: "image-file", path: "media/a b.png", ...more });
  const url = (more) => page.mediaOf(cell(more), "e/p/t")?.url;
  assert.equal(url({}), "/files/e/p/t/media/a%20b.png");
  assert.equal(url({ sha256: "00ff" }), "/files/e/p/t/media/a%20b.png?sha256=00ff");
  assert.equal(url({ url: "/files/x" }), "/files/x");
  for (const foreign of ["https://evil.example/x", "//evil.example", "javascript:1", "data:,x", 7]) {
    assert.equal(url({ url: foreign }), undefined, String(foreign));
  }
  for (const none of ["", "text", '{"_type":', '{"_type":"other","url":"/x"}', null, 1, {}]) {
    assert.equal(page.mediaOf(none, "e/p/t"), null);
  }
});

test("numbers and times for people", () => {
  const shown = [1234567, -12, 0.5, 1234.567, 0.0001234, NaN, -Infinity, 1e15].map(page.formatNumber);
  assert.deepEqual(shown, ["1 234 567", "−12", "0.5", "1 235", "0.000123", "NaN", "−∞", "1.00e+15"]);
  assert.equal(page.formatBytes(999), "999 B");
  assert.equal(page.formatBytes(1_234_567), "1.2 MB");
  const now = new Date(1e12);
  const ago = (ms) => page.formatAgo(new Date(1e12 - ms), now);
  assert.deepEqual([0, 59e3, 61e3, 7.3e6].map(ago), ["now", "59 s ago", "1 min ago", "2 h ago"]);
  assert.deepEqual(["NaN", "Infinity", "x", null, 1, -Infinity].map(page.oddFloat), [
    "NaN",
    "∞",
    null,
    null,
    null,
    "−∞",
  ]);
});
