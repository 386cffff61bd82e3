// Tests of the page's functions that need no browser.

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

globalThis.location = new URL("http://127.0.0.1:8080/");
const setLocation = (_state, _title, url) => (location.href = new URL(url, location));
globalThis.history = { pushState: setLocation, replaceState: setLocation };
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });

const contents = `
  export { settle, place, overlap } from "./src/board/layout";
  export { freeName, nameOf } from "./src/board/document";
  export { boardOfViews, isSameView, newView, viewsIn, withChange } from "./src/board/saved-views";
  export { emptyBoard } from "./src/board/document";
  export { boardOf } from "./src/board/templates";
  export { candidates, variableFilters } from "./src/board/variables";
  export { History } from "./src/board/history";
  export { driftOf, levelOf, stabilityIndex } from "./src/board/drift";
  export { cellText as resultText, chartOf, filled, resultOf, variableSql } from "./src/board/sql";
  export { monitorOf, newMonitorIn, newMonitorLink } from "./src/monitors/alert";
  export { curveSql } from "./src/monitors/curve";
  export { fieldOf, newMonitor, ofKind, reasonOf, valueText, written as writtenMonitor } from "./src/monitors/document";
  export { figureOf } from "./src/monitors/figures";
  export { templatesFor } from "./src/monitors/templates";
  export { changeText } from "./src/board/change";
  export { formerFilters, rangeFilters, rangeLabel, rangeSpan } from "./src/board/range";
  export { bucketed, cutOf, modernized, timeStep, withCuts, withoutCuts } from "./src/board/buckets";
  export { overlayOf, picksOf, spanOf } from "./src/board/picks";
  export { rollingMean } from "./src/chart/figure";
  export { prepared } from "./src/chart/prepare";
  export { scaleOf, shareOf, withScale } from "./src/grid/scales";
  export { labelOf, labelsTable, withLabels } from "./src/ui/labels";
  export { fieldName, withField } from "./src/grid/fields";
  export { written } from "./src/grid/copied";
  export { searched, searchedText } from "./src/grid/search";
  export { shortWithUnit, unitOf, withUnit } from "./src/unit";
  export { isDefaultFormat, namesOf } from "./src/grid/defaults";
  export * from "./src/link";
  export { overlaid, withoutOverlay } from "./src/live/overlay";
  export { pauseAfter } from "./src/ui/picture";
  export { cellsOf, indented, itemsOf } from "./src/json";
  export { artifactLink, fileLink, pageOf, runLink, runsLink } from "./src/runs/address";
  export { consoleLine } from "./src/runs/console-line";
  export { curvesOf, smoothed } from "./src/runs/curves";
  export { folderOf } from "./src/runs/folder";
  export { curvesQuery, niceWidth } from "./src/runs/curve-sql";
  export { machineCurves } from "./src/runs/machine";
  export { metricsOf, orderedMetrics } from "./src/runs/histories";
  export { configOf, flattened, membersOf, strict, summaryOf } from "./src/runs/json-text";
  export { cellText, fieldColumns, formatDuration, found, lineOf, sorted } from "./src/runs/run";
  export { putTableState, tableStateInAddress } from "./src/runs/table-state";
  export * from "./src/values";
`;
const bundle = await esbuild.build({
  stdin: { contents, resolveDir: dirname(dirname(fileURLToPath(import.meta.url))), loader: "ts" },
  bundle: true,
  format: "esm",
  write: false,
});
const page = await import(`data:text/javascript,${encodeURIComponent(bundle.outputFiles[0].text)}`);

/** A generator of the same numbers in each run. */
function random(seed) {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

test("settled panels do not overlap, have no gap above, and stay where they are", () => {
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

test("a distribution is compared with an earlier one by shares and by the stability index", () => {
  assert.equal(page.stabilityIndex([10, 20, 30], [10, 20, 30]), 0);
  assert.ok(page.stabilityIndex([1, 2, 3], [1_000, 2_000, 3_000]) < 0.05, "the size does not matter");
  const half = Math.log(3) / 2;
  assert.ok(Math.abs(page.stabilityIndex([250_000, 750_000], [500_000, 500_000]) - half / 2) < 1e-4);
  assert.ok(Number.isFinite(page.stabilityIndex([0, 9], [9, 0])));
  assert.deepEqual([0, 0.1, 0.25].map(page.levelOf), ["good", "warn", "bad"]);

  const counts = (pairs) => ({ keys: pairs.map(([key]) => [key]), series: [{ values: pairs.map(([, n]) => n) }] });
  const { data, rows, psi } = page.driftOf(counts([[1, 3], [null, 1]]), counts([[0, 1], [1, 1]]), Number);
  assert.deepEqual(data.keys, [[0], [1], [null]]);
  assert.deepEqual(data.series.map(({ name, values }) => [name, values]), [["now", [0, 75, 25]], ["before", [50, 50, 0]]]);
  assert.deepEqual(rows, { now: 4, before: 2 });
  assert.ok(psi > 0.25);
  assert.equal(page.driftOf(counts([]), counts([[0, 1]]), Number).psi, null);
  // Of texts, the most frequent are drawn.
  const texts = Array.from({ length: 30 }, (_, i) => [`t${i}`, i + 1]);
  assert.deepEqual(page.driftOf(counts(texts), counts([]), null).data.keys.slice(0, 2), [["t29"], ["t28"]]);
  assert.equal(page.driftOf(counts(texts), counts([]), null).data.keys.length, 12);
});

test("the result of a query is a table with all digits, or a chart of its first column", () => {
  const lines = ['{"t":"2026-03-01T10:00:00Z","n":9007199254740993,"x":1.5}', '{"t":null,"n":null,"x":"NaN"}'];
  const result = page.resultOf(lines);
  assert.deepEqual(result.columns, ["t", "n", "x"]);
  assert.deepEqual(result.rows[0].slice(1).map(page.resultText), ["9007199254740993", "1.5"]);
  assert.deepEqual(['"a\u202eb"', "null", "true", '{"a":1}'].map(page.resultText), ["a⟨U+202E⟩b", "", "true", '{"a":1}']);

  const chart = (...lines) => page.chartOf(page.resultOf(lines.map((line) => JSON.stringify(line))));
  const series = ({ data }) => data.series.map(({ name, values }) => [name, values]);
  const times = chart({ t: "2026-03-01T10:01:00Z", n: 2, s: "a" }, { t: "2026-03-01T10:00:00", n: 1, s: "a" });
  assert.deepEqual(times.data.keys, [[Date.parse("2026-03-01T10:00:00Z")], [Date.parse("2026-03-01T10:01:00Z")]]);
  assert.deepEqual(series(times), [["a", [1, 2]]]);
  assert.deepEqual(series(chart({ k: "x", a: 1, b: 2 }, { k: "y", a: null, b: 4 })), [["a", [1, null]], ["b", [2, 4]]]);
  // Texts beside numbers are series.
  assert.deepEqual(series(chart({ k: 1, s: "a", n: 5 }, { k: 1, s: "b", n: 6 }, { k: 2, s: "b", n: 7 })), [["a", [5, null]], ["b", [6, 7]]]);
  for (const none of [[{ n: 1 }], [{ n: 1, s: "a" }], []]) assert.match(chart(...none), /A chart needs/);
});

test("labels of rows are a table of their own, and a computed column", () => {
  assert.equal(page.labelsTable("me/shop/requests"), "me/shop/requests_labels");
  for (const none of ["me/shop/requests_labels", `me/shop/${"x".repeat(125)}`]) assert.equal(page.labelsTable(none), null);
  const note = (label, comment = null) => ({ label, comment, at: "" });
  assert.equal(page.labelOf([]), "");
  assert.equal(page.labelOf([note("a"), note("b"), note(null, "why?")]), "b");
  assert.equal(page.labelOf([note("a"), note("")]), "");
  const config = page.withLabels({ columns: ["n"], expressions: { x: "1" } }, [[3, "it's"], [0, "b"]]);
  assert.deepEqual(config.columns, ["row label", "n"]);
  assert.deepEqual(config.expressions, { x: "1", "row label": `CASE "_pos" WHEN 3 THEN 'it''s' WHEN 0 THEN 'b' END` });
  assert.deepEqual(page.withLabels(config, []).columns, ["row label", "n"]);
});

test("ranges", () => {
  assert.deepEqual(page.rangeFilters({ last: "15m" }, 1e9, "_timestamp"), [["_timestamp", ">=", 1e9 - 900_000]]);
  for (const none of [null, { last: "" }, { last: "15" }, { last: "99999m" }, { last: "1y" }]) {
    assert.deepEqual(page.rangeFilters(none, 1e9, "timestamp"), []);
  }
  const range = { from: "2026-01-02T03:04:05Z", to: "2026-01-02T03:04:06Z" };
  const [from, to] = page.rangeFilters(range, 0, "timestamp");
  assert.deepEqual([from, to[2] - from[2]], [["timestamp", ">=", Date.UTC(2026, 0, 2, 3, 4, 5)], 1_000]);
  const between = (from, to) => [["timestamp", ">=", from], ["timestamp", "<", to]];
  assert.deepEqual(page.formerFilters({ last: "15m" }, 1e9, "timestamp"), between(1e9 - 1_800_000, 1e9 - 900_000));
  assert.deepEqual(page.formerFilters(range, 0, "timestamp"), between(Date.UTC(2026, 0, 2, 3, 4, 4), Date.UTC(2026, 0, 2, 3, 4, 5)));
  for (const endless of [null, { from: range.from }, { to: range.to }, { from: range.to, to: range.to }]) {
    assert.equal(page.formerFilters(endless, 1e9, "timestamp"), null);
  }
  assert.equal(page.rangeLabel({ last: "1h" }), "Last hour");
  assert.equal(page.rangeLabel({ last: "7d" }), "Last 7 days");
});

test("changes from a former period", () => {
  const cases = [
    [[112, 100, null], "▲ 12 % from 100"],
    [[50, 100, "ms"], "▼ 50 % from 100 ms"],
    [[5.5, 4, "percent"], "▲ 1.5 points from 4 %"],
    [[3, 0, null], "▲ from 0"],
    [[0, 0, null], "as before: 0"],
    [[100.01, 100, null], "as before: 100"],
    [[-1, -2, null], "▲ 50 % from −2"],
    [[Infinity, 1, null], "▲ from 1"],
  ];
  for (const [values, text] of cases) assert.equal(page.changeText(...values), text);
});

test("a view in the address is the same view", async () => {
  const view = { columns: ["a", "ü \u202e <script>"], filter: [["a", "==", "x".repeat(5_000)]] };
  await page.putViewInAddress({ config: view });
  assert.match(location.hash, /^#view=[\w-]+$/);
  assert.deepEqual(await page.viewInAddress(), view);
  for (const broken of ["#view=%%%", "#view=AAAA", "#other"]) {
    location.hash = broken;
    assert.equal(await page.viewInAddress(), null);
  }
});

test("an address names a saved view, with or without changes", async () => {
  await page.putViewInAddress({ config: null, saved: "a&b" });
  assert.equal(location.hash, "#saved=a%26b");
  assert.deepEqual([await page.viewInAddress(), page.savedInAddress()], [null, "a&b"]);
  await page.putViewInAddress({ config: { sort: [["x", "asc"]] }, saved: "a&b" });
  assert.deepEqual([await page.viewInAddress(), page.savedInAddress()], [{ sort: [["x", "asc"]] }, "a&b"]);
});

test("views are changed on a board that others change, too", () => {
  const table = "me/shop/requests";
  assert.equal(page.boardOfViews(table), "requests.views");
  const titles = (board) => page.viewsIn(board, table).map((it) => it.title);
  const slow = page.newView("Slow", { plugin: "Datagrid", sort: [["ms", "desc"]], settings: true, theme: "Pro Dark" });
  assert.deepEqual(slow.config, { plugin: "Datagrid", sort: [["ms", "desc"]] });
  const first = page.withChange(page.emptyBoard("requests: saved views"), table, { kind: "add", view: slow });
  const other = { ...first.panels[0], id: "other", table: "me/shop/others", title: "Of others" };
  const text = { id: "text", kind: "text", title: "About", config: { text: "hi" }, layout: { x: 0, y: 90, w: 1, h: 1 } };
  let board = { ...first, panels: [...first.panels, other, text] };
  board = page.withChange(board, table, { kind: "add", view: page.newView("Bars", { plugin: "Y Bar" }) });
  assert.deepEqual(titles(board), ["Slow", "Bars"]);
  const bars = board.panels.at(-1);
  assert.deepEqual([bars.kind, bars.layout.y], ["chart", 91]);
  board = page.withChange(board, table, { kind: "set", id: slow.id, title: "Slowest" });
  board = page.withChange(board, table, { kind: "set", id: slow.id, config: { plugin: "Y Line" } });
  assert.deepEqual([board.panels[0].title, board.panels[0].kind], ["Slowest", "chart"]);
  board = page.withChange(board, table, { kind: "remove", id: bars.id });
  // Neither a removed view nor a panel that is no view of the table is changed.
  for (const id of [bars.id, "other", "text"]) board = page.withChange(board, table, { kind: "set", id, title: "x" });
  assert.deepEqual(board.panels.map((it) => it.title), ["Slowest", "Of others", "About"]);
});

test("two views are the same if they show the same", () => {
  const view = { columns: ["a"], sort: [], columns_config: { a: { x: 1, y: 2 } }, settings: false };
  assert.ok(page.isSameView(view, { columns_config: { a: { y: 2, x: 1 } }, columns: ["a"], filter: [], theme: "Pro Dark" }));
  assert.ok(!page.isSameView(view, { ...view, columns: ["a", "b"] }));
  assert.ok(!page.isSameView(view, { ...view, pinned: ["a"] }));
  assert.ok(!page.isSameView({ columns: ["a", "b"] }, { columns: ["b", "a"] }));
});

test("a cell is drawn between the least and the greatest value", () => {
  const bar = page.scaleOf("bar", 5, 20);
  assert.deepEqual([bar.low, bar.high], [0, 20]);
  assert.deepEqual([0, 5, 20, 30, -1].map((it) => page.shareOf(bar, it)), [0, 0.25, 1, 1, 0]);
  assert.equal(page.shareOf(page.scaleOf("bar", -10, 10), 0), 0.5);
  assert.equal(page.shareOf(page.scaleOf("colour", 5, 20), 5), 0);
  // One value alone, and none.
  assert.equal(page.shareOf(page.scaleOf("colour", 3, 3), 3), 1);
  assert.equal(page.shareOf(page.scaleOf("bar", 0, 0), 0), 0);
  assert.equal(page.scaleOf("bar", NaN, 1), null);
  const view = { scales: { a: bar, b: bar } };
  assert.deepEqual(page.withScale(view, "a", null), { scales: { b: bar } });
  assert.deepEqual(page.withScale({}, "a", bar), { scales: { a: bar } });
});

test("variables filter the tables that have their columns", () => {
  const shapes = new Map(Object.entries({ model: {}, ok: { isBool: true }, status: { isInteger: true }, ms: { isFloat: true }, _writer: {} }));
  const filters = (values) => page.variableFilters(["model", "ok", "status", "none"], values, shapes);
  assert.deepEqual(filters({}), []);
  assert.deepEqual(filters({ model: "", ok: "false", status: "200", none: "x", other: "y" }), [
    ["model", "==", ""],
    ["ok", "==", false],
    ["status", "==", "200"],
  ]);
  assert.deepEqual(page.variableFilters(["model"], { model: "a" }, undefined), []);
  assert.deepEqual(page.candidates(new Map([["t", shapes]])), ["model", "ok", "status"]);
});

test("boards of templates have no holes", () => {
  const [text, int, float, media] = [{}, { isInteger: true }, { isFloat: true }, { isMedia: true }];
  const tables = {
    service: { path: text, method: text, region: text, status: int, latency_ms: float },
    training: { run: text, step: int, loss: float, acc: float, lr: float },
    llm: { model: text, input_tokens: int, cost_usd: float, latency_ms: float, error: text },
    dataset: { image: media, label: text, size: float, weight: float, age: float, height: float },
  };
  for (const [template, columns] of Object.entries(tables)) {
    const { panels } = page.boardOf(template, "me/p/t", new Map(Object.entries(columns)));
    assert.deepEqual(page.settle(panels).map((it) => it.layout), panels.map((it) => it.layout), template);
    const area = panels.reduce((sum, { layout: { w, h } }) => sum + w * h, 0);
    assert.equal(area, 12 * Math.max(...panels.map(({ layout: { y, h } }) => y + h)), template);
  }
});

test("fields of nested values become columns", () => {
  const view = { columns: ["a", "usage", "z"], expressions: { b: "1" } };
  const made = (path, json, taken = []) => page.withField(view, taken, "usage", path, json);
  assert.deepEqual(made(["tokens"], "12"), {
    columns: ["a", "usage", "usage.tokens", "z"],
    expressions: { b: "1", "usage.tokens": `json_get_float("usage", 'tokens')` },
  });
  const kinds = [
    ['"x"', "json_get_str"],
    ["true", "json_get_bool"],
    ["-1.5e3", "json_get_float"],
    ["9007199254740993", "json_get_int"],
    ["[1]", "json_get_json"],
    ["{}", "json_get_json"],
  ];
  for (const [json, getter] of kinds) assert.ok(made(["x"], json).expressions["usage.x"].startsWith(`${getter}(`), json);
  const deep = page.withField(view, [], 'a"b', ["it's", 0, "t"], '""');
  assert.equal(deep.expressions[`a"b.it's[0].t`], `json_get_str("a""b", 'it''s', 0, 't')`);
  // A name that is taken is not used for another column; the same field is one column.
  assert.deepEqual(made(["tokens"], "1", ["usage.tokens"]).columns, ["a", "usage", "usage.tokens (field)", "z"]);
  const once = { ...view, ...made(["tokens"], "1") };
  assert.deepEqual(page.withField(once, [], "usage", ["tokens"], "2"), { columns: once.columns, expressions: once.expressions });
});

test("copied rows keep their cells in each format", () => {
  const rows = [
    [1, 'a "b", c', null],
    [-0.5, "| <b>\n`x`", ""],
  ];
  const copied = { names: ["n", "te|xt", "none"], rows, total: 2 };
  assert.equal(page.written(copied, "csv"), 'n,te|xt,none\r\n1,"a ""b"", c",\r\n-0.5,"| <b>\n`x`",""\r\n');
  assert.equal(
    page.written(copied, "markdown"),
    '| n | te\\|xt | none |\n| ---: | --- | --- |\n| 1 | a "b", c |  |\n| -0.5 | \\| \\<b><br>\\`x\\` |  |\n',
  );
  const [first, second] = JSON.parse(page.written(copied, "json"));
  assert.deepEqual([first, second], [{ n: 1, "te|xt": 'a "b", c', none: null }, { n: -0.5, "te|xt": "| <b>\n`x`", none: "" }]);
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
  const spaced = JSON.stringify({ a: { b: [1, "x"], c: {} }, "d:": -1, e: "," }, null, 2);
  assert.deepEqual(page.cellsOf(` ${spaced}\n`).map(([name, value]) => [name, JSON.parse(value)]), [
    ["a", { b: [1, "x"], c: {} }],
    ["d:", -1],
    ["e", ","],
  ]);
  assert.deepEqual(page.cellsOf("{\n}"), []);
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

test("the time of a row is `_timestamp` where users have a column `timestamp`", () => {
  const check = (type, expected) => {
    const shapes = page.shapesOf([{ name: "n", type: "int" }, ...(type ? [{ name: "timestamp", type }] : [])]);
    const [[first, { isTime }]] = shapes;
    assert.deepEqual([page.rowTimeOf(shapes), first, isTime], [expected, expected, true], type);
    const own = type && expected === "_timestamp" ? ["timestamp"] : [];
    assert.deepEqual(page.namesOf(shapes), [expected, "n", ...own], type);
  };
  for (const type of [null, "timestamp", "timestamp?", "null"]) check(type, "timestamp");
  for (const type of ["string", "int?", "string | timestamp", "list<timestamp>"]) check(type, "_timestamp");
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
  assert.deepEqual(shown, ["1 234 567", "−12", "0.5", "1 235", "0.000123", "NaN", "−∞", "1.00e15"]);
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

test("floats are never rounded before the decimal point", () => {
  const cases = [
    [1795777932417.48, "1795777932417.48"],
    [123456789.12, "123456789.12"],
    [1000000.5, "1000000.5"],
    [1 / 3, "0.333333"],
    [12.5, "12.5"],
    [0, "0"],
    [-0.1, "-0.1"],
    [0.00001, "0.00001"],
    [0.0000099, "9.9e-6"],
    [1e-12, "1e-12"],
    [1e-30, "1e-30"],
    [999999999999999, "999999999999999"],
    [1e15, "1e15"],
    [1e30, "1e30"],
    [-1.5e300, "-1.5e300"],
    [NaN, "NaN"],
    [-Infinity, "−∞"],
  ];
  for (const [value, text] of cases) assert.equal(page.formatFloat(value), text);
  const next = random(11);
  for (let i = 0; i < 2_000; i++) {
    const value = (next() - 0.5) * 10 ** Math.floor(next() * 60 - 30);
    const error = Math.abs(Number(page.formatFloat(value)) - value);
    assert.ok(error < 1 && error <= Math.abs(value) * 1e-5, `${value}`);
  }
});

test("text cannot reorder the text around it", () => {
  assert.equal(page.visible("\u202eevil\u202c"), "⟨U+202E⟩evil⟨U+202C⟩");
  assert.equal(page.visible("עברית and English"), "עברית and English");
});

test("formats that the user did not choose", () => {
  for (const own of [undefined, { useGrouping: false, maximumSignificantDigits: 6 }]) {
    assert.ok(page.isDefaultFormat(own));
  }
  assert.ok(!page.isDefaultFormat({ maximumFractionDigits: 1 }));
});

test("a chart over time has at most 300 buckets, and as many as fit", () => {
  for (let span = 1; span < 1e12; span *= 1.7) {
    for (const width of [0, 300, 700, 5_000]) {
      const points = span / page.timeStep(span, width);
      assert.ok(points <= 300, `${span} ${width}: ${points}`);
      // Between 10 ms and decades, steps are at most 2.8 times as long as the one before.
      if (span > 1_000 && span < 1e11) assert.ok(points > 60 / 3.6, `${span} ${width}: ${points}`);
    }
  }
});

const number = (column) => ({ column, kind: "number" });

test("buckets of numbers cover their extent, whatever its size", () => {
  const extents = [
    [0, 100],
    [-5, 5],
    [7, 7],
    [1e-10, 1e-3],
    [1e-30, 1e30],
    [1e30, 1.1e30],
    [-1e300, 1e300],
    [1e12, 1e12 + 0.001],
    [1, 1 + 1e-13],
    [0, Number.MIN_VALUE],
  ];
  for (const [first, last] of extents) {
    const cut = page.cutOf(number("x"), { first, last }, 600);
    assert.ok(!/NaN|Infinity|undefined/.test(cut.expression), cut.expression);
    assert.ok(cut.expression.length < 20_000);
    const labels = [...cut.expression.matchAll(/THEN '([^']+)'/g)].map(([, label]) => label);
    assert.equal(new Set(labels).size, labels.length, cut.expression);
  }
  const big = page.cutOf(number("x"), { first: 2n ** 53n + 1n, last: 2n ** 53n + 9n }, 600);
  assert.ok(big.isText);
  assert.deepEqual(big.edges("9007199254740995"), { from: "9007199254740995", to: "9007199254740996" });
});

test("the edges of a bucket are exact, though charts know its key in single precision", () => {
  const cut = page.cutOf(number("x"), { first: 0, last: 3 }, 600);
  assert.deepEqual(cut.edges(Math.fround(0.3)), { from: 0.3, to: 0.4 });
  const log = page.cutOf(number("x"), { first: 1e-10, last: 1e-3 }, 600);
  assert.deepEqual(log.edges("2e-10"), { from: 2e-10, to: 5e-10 });
});

test("cuts leave no trace in a board", () => {
  const own = { group_by: ["b"], expressions: { b: "old" }, sort: [], aggregates: { rows: "count" } };
  for (const extent of [{ first: 0, last: 9 }, { first: 1e-9, last: 1 }]) {
    const cuts = { b: page.cutOf(number("x"), extent, 600) };
    const shown = page.withCuts(own, cuts);
    assert.notEqual(shown.expressions.b, "old");
    assert.deepEqual(page.withoutCuts(shown, own, cuts), { ...own, columns_config: {} });
  }
});

test("boards of earlier versions have buckets", () => {
  const time = { group_by: ["second"], expressions: { second: `date_trunc('second', "timestamp")` } };
  assert.deepEqual(page.modernized(time).buckets, { second: { column: "timestamp", kind: "time" } });
  const floor = `floor(CAST("a""b" AS DOUBLE) / 0.5) * 0.5`;
  const bins = { group_by: ["from"], expressions: { from: floor } };
  assert.deepEqual(page.modernized(bins).buckets, { from: number('a"b') });
  const other = { group_by: ["x"], expressions: { x: `upper("name")` } };
  assert.equal(page.modernized(other), other);
});

test("a pick names source columns, so that each panel can apply it", () => {
  const cut = page.cutOf({ column: "timestamp", kind: "time" }, { first: 0, last: 60_000 }, 600);
  const config = { group_by: ["time", "even"], expressions: { even: `"n" % 2 = 0` } };
  const shapes = page.shapesOf([{ name: "n", type: "int" }, { name: "x", type: "float" }]);
  const origin = { panel: "p", table: "e/p/t", config, cuts: { time: cut }, shapes };
  const [time, even, x] = page.picksOf([["time", "==", 1_000], ["even", "==", true], ["x", "==", 0.5]], origin);
  const overlay = (panel) => page.overlayOf([time, even, x], { config: {}, ...panel }, shapes);

  assert.deepEqual(overlay({ id: "p", table: "e/p/t" }), { filter: [], expressions: {} });
  const same = overlay({ id: "q", table: "e/p/t" });
  assert.deepEqual(same.expressions, { even: `"n" % 2 = 0` });
  assert.deepEqual(same.filter.slice(0, 3), [
    ["timestamp", ">=", 1_000],
    ["timestamp", "<", 2_000],
    ["even", "==", true],
  ]);
  // Another table may lack what an expression is computed from.
  const other = page.overlayOf([time, even, x], { id: "q", table: "e/p/u", config: {} }, page.shapesOf([]));
  assert.deepEqual(other.filter.map(([column]) => column), ["timestamp", "timestamp"]);
  // Each table has its own column of the rows' times; a column that is this in one of two tables is not carried.
  const own = page.shapesOf([{ name: "timestamp", type: "string" }, { name: "x", type: "float" }]);
  const there = page.overlayOf([time, x], { id: "q", table: "e/p/u", config: {} }, own);
  assert.deepEqual(there.filter.map(([column]) => column), ["_timestamp", "_timestamp", "x", "x"]);
  const noon = page.picksOf([["timestamp", "==", "noon"]], { ...origin, table: "e/p/u", cuts: {}, shapes: own });
  assert.deepEqual(page.overlayOf(noon, { id: "q", table: "e/p/t", config: {} }, shapes).filter, []);
  // A panel's own expression of this name stays.
  const config2 = { expressions: { even: "other" } };
  assert.deepEqual(overlay({ id: "q", table: "e/p/t", config: config2 }).filter[2][0], "even (picked)");
});

test("an overlay is not saved", () => {
  const own = { filter: [["a", ">", 1]], expressions: { e: "1" } };
  const overlay = { filter: [["b", "==", 2]], expressions: { b: `"x"` } };
  assert.deepEqual(page.withoutOverlay(page.overlaid(own, overlay), overlay, own), own);
});

test("how a board is looked at is in the address", async () => {
  location.hash = "";
  const made = { table: "e/p/t", template: "overview" };
  location.hash = await page.newBoardHash(made);
  page.putBoardState({ range: { last: "15m" }, isPaused: true });
  assert.deepEqual(page.boardStateInAddress(), { range: { last: "15m" }, isPaused: true });
  assert.deepEqual(await page.newBoardInAddress(), made);
  page.dropNewBoard();
  assert.equal(await page.newBoardInAddress(), null);
  page.putBoardState({ range: null, values: { "a=b&c": "x y", empty: "" } });
  assert.deepEqual(page.boardStateInAddress(), { range: null, values: { "a=b&c": "x y", empty: "" } });
  page.putBoardState({ range: null });
  assert.deepEqual(page.boardStateInAddress(), { range: null });
  page.putBoardState({});
  assert.deepEqual(page.boardStateInAddress(), {});
});

test("pauses between tries grow up to a bound", () => {
  for (let failures = 0; failures < 60; failures++) {
    const pause = page.pauseAfter(failures);
    const expected = Math.min(30_000, 500 * 2 ** failures);
    assert.ok(pause >= expected * 0.75 && pause <= expected * 1.25, `${failures}: ${pause}`);
  }
});

test("units follow the ends of names, and large figures have larger units", () => {
  for (const [name, value, exact, short] of [
    ["latency_ms", 12.5, "12.5 ms", "12.5 ms"],
    ["latency_ms", 1_500, "1500 ms", "1.5 s"],
    ["ms", 120_000, "120000 ms", "2 min"],
    ["size_bytes", 1_234_567, "1234567 B", "1.2 MB"],
    ["cost_usd", -0.25, "−$0.25", "−$0.25"],
    ["share_pct", 7, "7 %", "7 %"],
    ["terms", 7, "7", "7"],
  ]) {
    const unit = page.unitOf(name);
    assert.deepEqual([page.withUnit(value, unit), page.shortWithUnit(value, unit)], [exact, short], name);
  }
});

test("a rolling mean skips gaps, and short lines have none", () => {
  assert.equal(page.rollingMean(Array(29).fill(1)), null);
  const values = Array.from({ length: 60 }, (_, i) => (i === 30 ? null : i));
  const { values: mean, over } = page.rollingMean(values);
  assert.equal(over, 5);
  assert.deepEqual([mean[0], mean[2], mean[10], mean[30], mean[31]], [0, 1, 8, null, (27 + 28 + 29 + 31) / 4]);
});

test("a search is a filter on all texts, and leaves other filters alone", () => {
  const shapes = page.shapesOf([
    { name: 'a"b', type: "string" },
    { name: "n", type: "int?" },
    { name: "pic", type: "image" },
    { name: "deep", type: "struct{x: int}" },
  ]);
  const before = { filter: [["n", ">", 1]], expressions: { twice: '"n" * 2' } };
  const config = { ...before, ...page.searched(before, "it's", shapes) };
  assert.equal(page.searchedText(config), "it's");
  const [[, expression]] = Object.entries(config.expressions).filter(([name]) => name !== "twice");
  assert.equal(expression, `concat_ws(' ', CAST("a""b" AS VARCHAR), CAST("n" AS VARCHAR))`);
  assert.deepEqual(page.searched(config, "", shapes), before);
});

test("the items of a list keep their texts", () => {
  for (const [json, items] of [
    ["[]", []],
    ["[ 1 ]", ["1"]],
    ['[9007199254740993, "a,]\\"", [1,[2]], {"b":[3]} , null]', ["9007199254740993", '"a,]\\""', "[1,[2]]", '{"b":[3]}', "null"]],
  ]) {
    assert.deepEqual(page.itemsOf(json), items, json);
  }
});

test("charts cut instants and floats into buckets, and whole numbers only if they are counted", () => {
  const shapes = page.shapesOf([
    { name: "x", type: "float" },
    { name: "code", type: "int" },
    { name: "kind", type: "string" },
  ]);
  const cut = (group, aggregates) => Object.values(page.bucketed({ group_by: [group], columns: ["x"], aggregates }, shapes).buckets ?? {});
  assert.deepEqual(cut("timestamp", {}), [{ column: "timestamp", kind: "time" }]);
  assert.deepEqual(cut("x", {}), [{ column: "x", kind: "number" }]);
  assert.deepEqual(cut("code", { x: "avg" }), []);
  assert.deepEqual(cut("code", { x: "count" }), [{ column: "code", kind: "number" }]);
  assert.deepEqual(cut("kind", { x: "count" }), []);
});

test("a table becomes a chart of its numbers over time, or of how many rows there are", () => {
  const shapes = page.shapesOf([
    { name: "kind", type: "string" },
    { name: "a", type: "float" },
    { name: "b", type: "int" },
  ]);
  const config = { plugin: "Datagrid", columns: ["timestamp", "kind", "a", "b"] };
  assert.deepEqual(page.prepared("X/Y Scatter", config, shapes).columns, ["a", "b"]);
  assert.deepEqual(page.prepared("Y Line", config, shapes).columns, ["a", "b"]);
  // One axis has one unit, and codes have none of it.
  const units = new Map(["status", "a_ms", "b_bytes", "c_ms"].map((name) => [name, { isInteger: true }]));
  assert.deepEqual(page.prepared("Y Line", { columns: [...units.keys()] }, units).columns, ["a_ms", "c_ms"]);
  assert.deepEqual(page.prepared("Y Line", { columns: ["status"] }, units).columns, ["status"]);
  const { columns, aggregates, group_by } = page.prepared("Y Bar", config, shapes);
  assert.deepEqual([columns, aggregates, group_by], [["rows"], { rows: "count" }, ["timestamp"]]);
  assert.deepEqual(page.prepared("Y Bar", { ...config, group_by: ["kind"] }, shapes), { plugin: "Y Bar" });
});

test("a range has a span, which ends now if it has no end", () => {
  assert.equal(page.rangeSpan(null, 0), null);
  assert.deepEqual(page.rangeSpan({ last: "1m" }, 100_000), [40_000, null]);
  const [from, to] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"];
  assert.deepEqual(page.rangeSpan({ from, to }, 0), [Date.parse(from), Date.parse(to)]);
});

test("addresses of W&B lead to their pages", () => {
  const check = (address, expected) => {
    const { pathname, search } = new URL(address, "http://h");
    assert.deepEqual(page.pageOf(pathname, search), expected, address);
  };
  const run = (tab, file = null) => ({ page: "run", run: "r 1", tab, file });
  check("/me/p/runs", { page: "runs", compared: [] });
  check("/me/p/runs/", { page: "runs", compared: [] });
  check("/me/p/runs?compare=a&compare=b%26c", { page: "runs", compared: ["a", "b&c"] });
  check("/me/p/runs/r%201", run("charts"));
  check("/me/p/runs/r%201/workspace", run("charts"));
  check("/me/p/runs/r%201/overview", run("overview"));
  check("/me/p/runs/r%201/system", run("system"));
  check("/me/p/runs/r%201/logs", run("logs"));
  check("/me/p/runs/r%201/files", run("files"));
  check("/me/p/runs/r%201/files/media/a%2Fb.png", run("files", "media/a/b.png"));
  check("/me/p/runs/r%201/artifacts/x", run("artifacts"));
  check("/me/p/runs/r%201/invented/later", run("charts"));
  check("/me/p/runs/%ff", { page: "run", run: "%ff", tab: "charts", file: null });
  check("/me/p/artifacts", { page: "artifacts" });
  check("/me/p/artifacts/dataset", { page: "artifacts" });
  check("/me/p/artifacts/dataset/d", { page: "artifact", type: "dataset", name: "d", version: "latest" });
  check("/me/p/artifacts/dataset/d/v1/files", { page: "artifact", type: "dataset", name: "d", version: "v1" });
});

test("addresses of runs and artifacts are read as they were written", () => {
  const place = { entity: "me", project: "p q" };
  for (const name of ["r", "a/b", "ä?#&%", "..x", "שלום"]) {
    assert.equal(page.pageOf(page.runLink(place, name)).run, name);
    assert.equal(page.pageOf(page.runLink(place, name, "files")).tab, "files");
    assert.deepEqual(page.pageOf(page.artifactLink(place, name, name, name)), { page: "artifact", type: name, name, version: name });
    const [path, search] = page.runsLink(place, [name, "z"]).split("?");
    assert.deepEqual(page.pageOf(path, search).compared, [name, "z"]);
  }
  assert.equal(page.fileLink(place, "r 1", "a b/c#.txt"), "/files/me/p%20q/r%201/a%20b/c%23.txt");
});

test("configurations keep their digits, and have the floats that JSON lacks", () => {
  const config = page.configOf('{"lr":{"value":NaN,"desc":null},"n":{"value":9007199254740993},"o":{"value":{"a":{"b":-Infinity},"c":[NaN]}},"_wandb":{"value":{}},"t":"NaN"}');
  assert.deepEqual(page.flattened(config), [
    { name: "lr", json: '"NaN"' },
    { name: "n", json: "9007199254740993" },
    { name: "o.a.b", json: '"-Infinity"' },
    { name: "o.c", json: '["NaN"]' },
    { name: "t", json: '"NaN"' },
  ]);
  assert.equal(page.strict('{"a":"NaN \\" Infinity","b":[NaN,-Infinity]}'), '{"a":"NaN \\" Infinity","b":["NaN","-Infinity"]}');
  for (const broken of [null, "", "{", "[1]", "nonsense", '"x"']) assert.deepEqual(page.membersOf(broken), [], broken);
  const media = '{"_type":"image-file","path":"a.png"}';
  assert.deepEqual(page.flattened(page.summaryOf(`{"img":${media},"_wandb":{"runtime":1},"e":{}}`)), [
    { name: "img", json: media },
    { name: "e", json: "{}" },
  ]);
});

/** A run of the API with some values. */
const runOf = (name, config, summary = "{}", more = {}) => ({
  ...{ name, displayName: null, state: "finished", createdAt: "2026-03-01T10:00:00", updatedAt: "", heartbeatAt: "2026-03-01T10:00:05" },
  ...{ group: null, jobType: null, tags: [], user: null, notes: null, config: JSON.stringify({ x: { value: config } }), summaryMetrics: summary },
  ...more,
});

test("runs are sorted by any column: numbers by size, then texts, then those without a value", () => {
  const values = [10, 9, "b10", "b9", null, null, 0.5, { a: 1 }];
  const lines = values.map((value, i) => page.lineOf(runOf(`r${i}`, value)));
  const order = (isDown) => page.sorted(lines, { column: "config.x", isDown }).map(({ run }) => run.name);
  assert.deepEqual(order(false), ["r6", "r1", "r0", "r3", "r2", "r4", "r5", "r7"]);
  assert.deepEqual(order(true), ["r2", "r3", "r0", "r1", "r6", "r4", "r5", "r7"]);
  const nan = [page.lineOf(runOf("n", 1, '{"m":NaN}')), page.lineOf(runOf("o", 1, '{"m":1}'))];
  for (const isDown of [true, false]) assert.equal(page.sorted(nan, { column: "summary.m", isDown })[0].run.name, "o");
});

test("runs are found by words in their cells", () => {
  const lines = [
    page.lineOf(runOf("a", 0.1, '{"loss":2}', { displayName: "First Run", tags: ["keep"], state: "running" })),
    page.lineOf(runOf("b", 0.15, '{"loss":3}', { notes: "try again" })),
  ];
  const check = (search, expected) => assert.deepEqual(page.found(lines, search).map(({ run }) => run.name), expected, search);
  check("", ["a", "b"]);
  check("first", ["a"]);
  check("KEEP running", ["a"]);
  check("loss=3", ["b"]);
  check("x=0.1 again", ["b"]);
  check("state=finished", ["b"]);
  check("absent", []);
});

test("the columns of runs are config, then summary, the client's own last", () => {
  const lines = [page.lineOf(runOf("a", { b: 1 }, '{"_step":1,"loss":2}')), page.lineOf(runOf("b", 2, '{"acc":1}'))];
  assert.deepEqual(page.fieldColumns(lines), ["config.x.b", "config.x", "summary.loss", "summary.acc", "summary._step"]);
  assert.equal(page.cellText(lines[0], "duration"), "5 s");
  assert.equal(page.cellText(page.lineOf(runOf("a", 0.123456)), "config.x"), "0.123");
  assert.equal(page.cellText(page.lineOf(runOf("a", { path: "a.png", _type: "image-file" })), "config.x"), "image");
});

test("durations have their two largest units", () => {
  const check = (seconds, expected) => assert.equal(page.formatDuration(seconds * 1_000), expected);
  check(0, "0 s");
  check(59.4, "59 s");
  check(60, "1 min");
  check(3_661, "1 h 1 min");
  check(86_400 + 59, "1 d");
  check(90_000, "1 d 1 h");
  assert.equal(page.formatDuration(NaN), "–");
});

test("lines of consoles are texts without escape sequences and without overwritten parts", () => {
  const check = (line, text, more = {}) =>
    assert.deepEqual(page.consoleLine(line), { text, at: null, isError: false, ...more }, JSON.stringify(line));
  check("plain\n", "plain");
  check("\u001b[1;32mgreen\u001b[0m <b>", "green <b>");
  check("\u001b]0;title\u0007text\u001b[2K\u001b(B", "text");
  check("10 %\r20 %\r", "20 %");
  check("a\u0000\u0008b\tc", "ab\tc");
  check("\u001b[", "");
  check("2026-03-01T10:00:00.000001 x", "x", { at: "2026-03-01T10:00:00.000001 UTC" });
  check("ERROR 2026-03-01T10:00:00 x y\n", "x y", { at: "2026-03-01T10:00:00 UTC", isError: true });
  check("ERROR\n", "ERROR");
  check("", "");
});

test("curves of several runs share an axis", () => {
  const curve = (name, x, y) => ({ name, points: { x, y } });
  const style = { smoothing: 0, isLog: false };
  const data = page.curvesOf("m", [curve("a", [0, 2], [1, 3]), curve("b", [1, 2], [5, 6])], style);
  assert.deepEqual(data.keys, [[0], [1], [2]]);
  assert.deepEqual(data.series.map(({ values }) => values), [[1, null, 3], [null, 5, 6]]);
  assert.deepEqual(page.curvesOf("m", [curve("a", [], [])], style).keys, []);
});

test("a smoothed curve starts at its first value and forgets it, by the distance on the axis", () => {
  const rounded = (values) => values.map((it) => it && Math.round(it * 1e9) / 1e9);
  assert.deepEqual(rounded(page.smoothed([0, 1, 2, 3], [4, 4, null, 4], 0.9)), [4, 4, null, 4]);
  const places = Array.from({ length: 1_001 }, (_, i) => i);
  const step = places.map((i) => (i === 0 ? 0 : 1));
  const dense = page.smoothed(places, step, 0.9);
  assert.ok(dense[1] > 0.5 && dense[1] < 0.6 && dense[200] > 0.99, `${dense[1]} ${dense[200]}`);
  // A metric with a value at each hundredth place has forgotten the first one at the second.
  const rare = page.smoothed(places, step.map((it, i) => (i % 100 ? null : it)), 0.9);
  assert.ok(rare[0] === 0 && rare[50] === null && rare[100] > 0.99, `${rare[100]}`);
  assert.deepEqual(page.smoothed([0, 1], [3, 1], 0), [3, 1]);
  assert.deepEqual(page.smoothed([7], [3], 0.5), [3]);
  assert.deepEqual(page.smoothed([], [], 0.5), []);
});

test("metrics are the numeric keys of all runs, losses first", () => {
  const keys = (names) => ({ keys: Object.fromEntries(names.map(([name, type]) => [name, { typeCounts: [{ type }] }])) });
  const table = [["t\\.b._type", "string"], ["t\\.b.ncols", "number"], ["t\\.c.ncols", "string"]];
  const all = [keys([["acc", "number"], ["text", "string"], ["_step", "number"], ["ok", "bool"], ...table]), keys([["train/loss", "number"], ["acc", "number"]]), {}];
  assert.deepEqual(page.orderedMetrics(all.map(page.metricsOf)), ["train/loss", "acc", "ok"]);
});

test("curves are means over parts of the axis, of columns and of fields", () => {
  const check = (metric, part) => {
    const sql = page.curvesQuery('"me"."p"."t"', "step", "_step", [metric], 5, null);
    assert.ok(sql.includes(part), `${sql} has ${part}`);
    assert.ok(sql.startsWith('SELECT ("_step") / 5 * 5 AS x, avg('), sql);
  };
  check("loss", 'CAST("loss" AS DOUBLE)');
  check('a/b"c', 'CAST("a/b""c" AS DOUBLE)');
  check("a\\.b", 'CAST("a.b" AS DOUBLE)');
  check("a\\.b.c\\.d.e'f", `json_get_float("a.b", 'c.d', 'e''f')`);
  const part = page.curvesQuery("t", "time", "_line", ["a", "b"], 1, [1.5, 9.5]);
  assert.ok(part.includes('WHERE CAST("timestamp" AS BIGINT) / 1000 IS NOT NULL AND CAST("timestamp" AS BIGINT) / 1000 BETWEEN 1 AND 10'), part);
  assert.ok(part.includes("AS m0") && part.includes("AS m1"), part);
});

test("curves have at most a thousand parts of a round width", () => {
  for (const [from, to, width] of [[0, 0, 1], [0, 1_000, 1], [0, 1_001, 2], [0, 2_001, 5], [0, 1e6, 1_000], [0, 1e6 + 1, 2_000], [Infinity, -Infinity, 1]]) {
    assert.equal(page.niceWidth(from, to), width, `${from} ${to}`);
  }
});

test("the metrics of a machine are curves over time", () => {
  const lines = ['{"system.cpu":1.5,"_timestamp":10,"_runtime":1}', "broken", '{"system.cpu":NaN,"system.gpu.0.temp":40,"_timestamp":11}', '{"system.cpu":2}'];
  assert.deepEqual([...page.machineCurves(lines)], [
    ["cpu", { x: [10_000], y: [1.5] }],
    ["gpu.0.temp", { x: [11_000], y: [40] }],
  ]);
});

test("files are in the folders that their paths name", () => {
  const root = page.folderOf(["a/b/c.txt", "a/d.txt", "e"].map((path) => ({ path, size: 1, mimetype: "", href: null })));
  assert.deepEqual([...root.folders.keys()], ["a"]);
  assert.deepEqual(root.files.map(([name]) => name), ["e"]);
  assert.deepEqual(root.folders.get("a").folders.get("b").files.map(([name]) => name), ["c.txt"]);
});

test("an address has how the table of runs is looked at", () => {
  const before = location.href;
  for (const state of [
    { search: "", order: { column: "created", isDown: true }, columns: null, page: 0, chosen: [] },
    { search: "a & b", order: { column: "summary.train/loss", isDown: false }, columns: [], page: 3, chosen: ["r&1", "é"] },
    { search: "", order: { column: "config.-x", isDown: true }, columns: ["config.a", "état"], page: 0, chosen: [] },
  ]) {
    page.putTableState(state);
    assert.deepEqual(page.tableStateInAddress(), state);
  }
  location.href = before;
});

test("placeholders of queries", () => {
  const check = (sql, expected, range = { last: "5m" }) =>
    assert.equal(page.filled(sql, range, { path: "'/a'", "a b": "1" }, Date.parse("2026-03-01T10:05:00Z")), expected);
  check("t >= $from", "t >= TIMESTAMP '2026-03-01 10:00:00.000'");
  check("t < $to", "t < TIMESTAMP '9999-12-31 23:59:59.000'");
  check("$from", "TIMESTAMP '0001-01-01 00:00:00.000'", null);
  check("$from $to", "TIMESTAMP '2026-01-01 00:00:00.000' TIMESTAMP '2026-01-02 00:00:00.000'", { from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" });
  check("path = $path AND x = $other AND y = $1", "path = '/a' AND x = $other AND y = $1");
  check(`'$path it''s $path' "$path" -- $path\n/* $path */ $path`, `'$path it''s $path' "$path" -- $path\n/* $path */ '/a'`);
  check("$constructor", "$constructor");
  const sql = (values) => page.variableSql(["a", 'b"'], values, (column) => column !== "a");
  assert.deepEqual(sql({}), { a: '"a"', 'b"': '"b"""' });
  assert.deepEqual(sql({ a: "1", 'b"': "it's" }), { a: "1", 'b"': "'it''s'" });
});

test("a monitor of a chart has its figure, its filters and its split", () => {
  const check = (config, expected) => assert.deepEqual(page.monitorOf("e/p/t", "T", config), expected && { table: "e/p/t", title: "T", ...expected });
  check({ columns: ["ms"], aggregates: { ms: "p95" } }, { value: 'approx_percentile_cont("ms", 0.95)' });
  check({ columns: ["rows"], aggregates: { rows: "count" }, expressions: { rows: "1" } }, { value: "count(*)" });
  check(
    { columns: ["rate"], aggregates: { rate: "avg" }, expressions: { rate: "a + b" }, split_by: ["path"], filter: [["path", "!=", "it's"], ["n", ">", 1], ["x", "is null", null]] },
    { value: "avg((a + b))", group_by: '"path"', where: `"path" <> 'it''s' AND "n" > 1 AND "x" IS NULL` },
  );
  check({ columns: ["ms"], aggregates: { ms: "any" } }, null);
  check({ columns: ["ms"] }, null);
  check({ columns: [] }, null);
  check({ columns: ["ms"], aggregates: { ms: "avg" }, filter: [["path", "contains", "x"]] }, null);
  check({ columns: ["ms"], aggregates: { ms: "avg" }, filter: [["timestamp", ">", 5]] }, null);
  const made = { table: "e/p/t", title: "a & b", value: 'avg("x")' };
  assert.deepEqual(page.newMonitorIn(new URL(page.newMonitorLink(made), location).hash), made);
  assert.equal(page.newMonitorIn("#view=x"), null);
});

test("templates of monitors fit columns", () => {
  const fitting = (...columns) =>
    page.templatesFor("e/p/t", page.shapesOf(columns.map(([name, type]) => ({ name, type })))).flatMap(({ name, document }) => (document ? [name] : []));
  assert.deepEqual(fitting(["note", "string"]), ["silence"]);
  assert.deepEqual(fitting(["latency_ms", "float"], ["status", "int"]), ["errors", "latency", "silence", "drift"]);
  assert.deepEqual(fitting(["truth", "int"], ["prediction", "int"]).slice(0, 1), ["accuracy"]);
});

test("monitors: fields of refusals, conditions, figures and values", () => {
  assert.equal(page.fieldOf("invalid monitor: `condition.above` either"), "condition.above");
  assert.equal(page.fieldOf("invalid monitor: unknown field `x`"), null);
  assert.equal(page.reasonOf("invalid monitor: `where`: no such column"), "no such column");
  const threshold = { kind: "threshold", value: "avg(x)", above: 1, recover: 0.5 };
  assert.deepEqual(page.ofKind(threshold, "change"), { kind: "change", value: "avg(x)", measure: "ratio", above: 1, recover: 0.5 });
  assert.deepEqual(page.ofKind(threshold, "no_rows"), { kind: "no_rows" });
  const monitor = page.newMonitor("e/p/t", { where: " ", condition: { kind: "match", column: "", pattern: "a", above: undefined } });
  assert.deepEqual(page.writtenMonitor(monitor).condition, { kind: "match", column: "", pattern: "a" });
  assert.ok(!("where" in page.writtenMonitor(monitor)));
  assert.equal(page.figureOf('max("a b")', ["x", "a b"]).column, "a b");
  assert.equal(page.figureOf("max(a) + 1", ["a"]), null);
  assert.deepEqual([null, "Infinity", "-Infinity", 0.5].map(page.valueText), ["–", "∞", "−∞", "0.5"]);
});

test("the course of a monitor is a query over windows of its length", () => {
  const sql = (changes) => page.curveSql(page.newMonitor("e/p/t", changes), page.shapesOf([]));
  assert.match(sql({}), /date_bin\(INTERVAL '300000 milliseconds', "timestamp"\).*FROM "e"\."p"\."t" WHERE/);
  assert.match(sql({ group_by: "path", condition: { kind: "threshold", value: "avg(x)", below: 1 } }), /min\(figure\)/);
  assert.equal(sql({ window: { rows: 10 } }), null);
  assert.equal(sql({ condition: { kind: "drift", column: "x" } }), null);
});
