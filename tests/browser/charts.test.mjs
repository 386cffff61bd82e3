// Charts: exact tooltips that stay, pictures of marks, one crosshair, spans by dragging, keys alone.

import assert from "node:assert/strict";

import { gridOf, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { PNG, browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

async function keep(path, panels) {
  const document = { format: 1, title: path.split("/").at(-1), panels };
  const answer = await server.ask("PUT", `/api/boards/${path}`, JSON.stringify(document));
  assert.ok(answer.ok, await answer.text());
}

const chartPanel = (id, table, x, config) => ({
  ...{ id, title: id, table, kind: "chart", layout: { x, y: 0, w: 6, h: 8 } },
  config: { group_rollup_mode: "flat", ...config },
});

const counting = (group) => ({ columns: ["rows"], group_by: [group], aggregates: { rows: "count" }, expressions: { rows: "1" } });

const chartOf = (page, id) => page.locator(`[data-panel=${id}] .chart`);
const tip = (page) => page.locator("[data-testid=tip]");
const chips = (page) => page.getByLabel("Filters from charts").locator(".chip");

/** Moves the pointer to a part of a chart, which is drawn then. */
async function pointAt(page, id, x, y) {
  await page.locator(`[data-panel=${id}] [data-drawn]`).waitFor();
  const box = await chartOf(page, id).boundingBox();
  const at = [box.x + box.width * x, box.y + box.height * y];
  await page.mouse.move(at[0] - 2, at[1]);
  await page.mouse.move(...at);
  return at;
}

test("a tooltip is exact, shows pictures of its mark, and stays when rows come", async () => {
  const table = "me/tips/t";
  const query = `mutation { upsertBucket(input: {entityName: "me", modelName: "tips", name: "t"}) { inserted } }`;
  assert.ok((await server.ask("POST", "/graphql", JSON.stringify({ query }))).ok);
  for (let i = 0; i < 4; i++) await server.upload(table, `media/images/${i}.png`, PNG);
  const cell = (i) => ({ _type: "image-file", path: `media/images/${i % 4}.png`, format: "png", width: 8, height: 8 });
  const row = (i) => ({ truth: i % 2 ? 9 : 4, prediction: i % 3 ? 4 : 9, kind: i % 2 ? "odd" : "even", image: cell(i) });
  await server.log(table, numbered(60, row));
  const confusion = { plugin: "Heatmap", ...counting("truth"), split_by: ["prediction"] };
  await keep("me/tips/b", [
    chartPanel("matrix", table, 0, confusion),
    chartPanel("bars", table, 6, { plugin: "Y Bar", ...counting("kind") }),
  ]);
  const page = await browser.open(server, "/me/tips/boards/b", { viewport: { width: 1440, height: 900 } });

  // Truth 9 was 30 times there, 20 of them taken for 4: the cell below on the left.
  await pointAt(page, "matrix", 0.35, 0.65);
  await tip(page).getByText("truth 9 → prediction 4").waitFor();
  assert.match(await tip(page).textContent(), /66\.7 % of truth 9\s*20 rows/);
  await until("three pictures", async () => (await tip(page).locator("img").count()) === 3);
  await until("they are loaded", () => tip(page).locator("img").evaluateAll((all) => all.every((it) => it.naturalWidth === 8)));
  await screenshot(page, "chart-matrix-tip");

  await pointAt(page, "bars", 0.3, 0.6);
  await tip(page).getByText("kind even").waitFor();
  const count = () => tip(page).locator("dd").textContent();
  assert.equal(await count(), "30");
  await server.log(table, numbered(7, () => row(0)));
  await until("the tooltip has the new rows", async () => (await count()) === "37");
  settled(page);
  await page.context().close();
});

test("charts over time break at gaps, share a crosshair, and take a span by dragging", async () => {
  const table = "me/spans/t";
  const start = Date.parse("2026-03-01T10:00:00Z");
  // Five minutes of rows, an hour without, five minutes of rows.
  const at = (i) => start / 1_000 + (i < 300 ? i : i + 3_600);
  await server.log(table, numbered(600, (i) => ({ _timestamp: at(i), ms: i })));
  const buckets = { from: { column: "timestamp", kind: "time" } };
  const over = (plugin, columns, aggregates, expressions = {}) => ({
    ...{ plugin, columns, aggregates, group_by: ["from"], buckets },
    expressions: { from: '"timestamp"', ...expressions },
  });
  await keep("me/spans/b", [
    chartPanel("lines", table, 0, over("Y Line", ["ms"], { ms: "avg" })),
    chartPanel("bars", table, 6, over("Y Bar", ["rows"], { rows: "count" }, { rows: "1" })),
  ]);
  const page = await browser.open(server, "/me/spans/boards/b", { viewport: { width: 1440, height: 900 } });
  await page.locator("[data-panel=lines] [data-drawn]").waitFor();
  await screenshot(page, "chart-gap");
  // In the middle of the hour without rows, the canvas shows only the ground and the grid's lines.
  const inked = await page.locator("[data-panel=lines] canvas").evaluate((canvas) => {
    const { width, height } = canvas;
    const column = (x) => canvas.getContext("2d").getImageData(x, 12, 1, height - 60).data;
    const accents = (x) => {
      const data = column(Math.round(x));
      let found = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 80 && data[i + 1] - data[i] > 60) found += 1;
      return found;
    };
    return { gap: accents(width / 2), data: Math.max(...[0.08, 0.09, 0.1, 0.11].map((x) => accents(width * x))) };
  });
  assert.equal(inked.gap, 0);
  assert.ok(inked.data > 0);

  // The line of one chart is in the other one, too.
  await pointAt(page, "bars", 0.95, 0.5);
  await tip(page).waitFor();
  for (const id of ["bars", "lines"]) await page.locator(`[data-panel=${id}] .chart-line:not([hidden])`).waitFor();
  assert.match(await tip(page).locator("b").textContent(), /1 Mar 2026, 0\d:\d\d:\d\d – 0\d:\d\d:\d\d/);

  const [x, y] = await pointAt(page, "bars", 0.2, 0.5);
  await page.mouse.down();
  await page.mouse.move(x + 120, y, { steps: 6 });
  await page.locator(".chart-drag").waitFor();
  await page.mouse.up();
  await until("the range is in the address", () => /#from=2026-03-01T1\d.*&to=2026-03-01T1\d/.test(page.url()));
  await page.goBack();
  await until("Back undoes it", () => !page.url().includes("from="));
  settled(page);
  await page.context().close();
});

test("buckets are as long as the range asks for, however close together its rows are", async () => {
  const table = "me/span/t";
  await server.log(table, numbered(50, (i) => ({ _timestamp: Date.parse("2026-03-01T10:00:00Z") / 1_000 + i / 100, n: i })));
  const time = { columns: ["rows"], group_by: ["time"], aggregates: { rows: "count" }, expressions: { rows: "1", time: '"timestamp"' } };
  await keep("me/span/b", [chartPanel("bars", table, 0, { plugin: "Y Bar", ...time, buckets: { time: { column: "timestamp", kind: "time" } } })]);
  const page = await browser.open(server, "/me/span/boards/b#from=2026-03-01T09:30:00Z&to=2026-03-01T10:30:00Z", { viewport: { width: 1440, height: 900 } });
  const note = page.locator("[data-panel=bars] h2 small");
  await note.getByText("per minute").waitFor();
  await page.locator("[data-panel=bars] [data-drawn]").waitFor();
  await screenshot(page, "chart-span");
  await page.goto(`${server.url}/me/span/boards/b`);
  await note.getByText("per 5 ms").waitFor();
  settled(page);
  await page.context().close();
});

test("keys alone read a chart, filter by a mark and open its rows", async () => {
  const table = "me/charted/t";
  await server.log(table, numbered(90, (i) => ({ path: ["/", "/cart", "/search"][i % 3], latency_ms: i })));
  await keep("me/charted/b", [
    chartPanel("paths", table, 0, { plugin: "X Bar", ...counting("path") }),
    { id: "count", title: "count", table, kind: "stat", layout: { x: 6, y: 0, w: 3, h: 3 }, config: counting("path") },
  ]);
  const page = await browser.open(server, "/me/charted/boards/b");
  await page.locator("[data-panel=paths] [data-drawn]").waitFor();
  await chartOf(page, "paths").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.locator("[data-panel=paths] [role=status]").getByText("path /cart, rows 30").waitFor({ state: "attached" });
  await page.keyboard.press("Enter");
  await chips(page).getByText("path /cart").waitFor();
  await until("the figure follows", async () => (await page.locator("[data-panel=count] output").textContent()) === "30");

  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Shift+Enter");
  const rows = await opened;
  await gridOf(rows);
  await rows.getByText("30 of 90 rows").waitFor();
  await rows.getByText("path = /cart").waitFor();
  settled(page);
  await page.context().close();
});

test("a table becomes a chart, whose marks filter it, and a table again", async () => {
  const table = "me/shown/t";
  await server.log(table, numbered(80, (i) => ({ kind: i % 4 ? "a" : "b", ms: i })));
  const page = await browser.open(server, server.link(table), { viewport: { width: 1440, height: 900 } });
  await gridOf(page);
  await page.getByLabel("Show as").selectOption("Y Bar");
  await page.locator(".own-chart [data-drawn]").waitFor();
  await page.getByRole("button", { name: "Remove by timestamp" }).waitFor();
  await page.getByLabel("Show as").selectOption("Datagrid");
  await gridOf(page);

  await page.locator("perspective-viewer-datagrid").getByLabel("Menu of kind").click();
  await page.getByRole("menuitem", { name: "Chart this" }).click();
  await page.locator(".own-chart [data-drawn]").waitFor();
  await page.locator(".own-chart .chart").focus();
  await page.keyboard.press("ArrowDown");
  await until("the most frequent value is first", async () => /kind a, rows 60/.test(await page.locator(".own-chart [role=status]").textContent()));
  await page.keyboard.press("Enter");
  await page.getByText("kind = a").waitFor();
  await screenshot(page, "chart-of-column");
  settled(page);
  await page.context().close();
});
