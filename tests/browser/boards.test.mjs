// Boards that a user moves, filters, colours or may only read.

import assert from "node:assert/strict";
import { before } from "node:test";

import { column, gridOf, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, server, testsWithin } from "./setup.mjs";

const test = testsWithin(60_000);

const TABLE = "me/boards/t";

before(async () => {
  const rows = Array.from({ length: 90 }, (_, i) => ({ n: i, kind: i % 3 ? "big" : "small" }));
  await server.log(TABLE, rows);
});

/** Saves a board of a chart and a grid, side by side. */
async function keep(name) {
  const chart = {
    id: "chart",
    title: "Kinds",
    table: TABLE,
    kind: "chart",
    config: {
      plugin: "Y Bar",
      columns: ["n"],
      group_by: ["kind"],
      group_rollup_mode: "flat",
      aggregates: { n: "count" },
    },
    layout: { x: 0, y: 0, w: 6, h: 8 },
  };
  const grid = {
    id: "grid",
    title: "Rows",
    table: TABLE,
    kind: "grid",
    config: { plugin: "Datagrid", columns: ["n", "kind"] },
    layout: { x: 6, y: 0, w: 6, h: 8 },
  };
  const document = { format: 1, title: name, panels: [chart, grid] };
  const answer = await server.ask("PUT", `/api/boards/me/boards/${name}`, JSON.stringify(document));
  assert.ok(answer.ok, await answer.text());
}

const placeOf = (page, id) =>
  page.locator(`[data-panel=${id}]`).evaluate((it) => [it.style.gridColumn, it.style.gridRow]);

test("dragged panels stay at their places", async () => {
  await keep("moved");
  const page = await browser.open(server, "/me/boards/boards/moved");
  await gridOf(page);
  assert.deepEqual(await placeOf(page, "grid"), ["7 / span 6", "1 / span 8"]);
  await page.getByRole("button", { name: "Edit layout" }).click();

  // The grid to the left edge: the chart makes room.
  const title = page.locator("[data-panel=grid] header h2");
  const { x, y } = await title.boundingBox();
  await page.mouse.move(x + 8, y + 8);
  await page.mouse.down();
  await page.mouse.move(x - 300, y + 8, { steps: 5 });
  await screenshot(page, "moving");
  await page.mouse.move(40, y + 8, { steps: 5 });
  await page.mouse.up();
  await until("it is at the left", async () => (await placeOf(page, "grid"))[0] === "1 / span 6");
  const chart = await placeOf(page, "chart");
  assert.notDeepEqual(chart, ["1 / span 6", "1 / span 8"]);

  // Smaller by its corner, and one row further by a key.
  const corner = await page.locator("[data-panel=grid] .size-handle").boundingBox();
  await page.mouse.move(corner.x + 4, corner.y + 4);
  await page.mouse.down();
  await page.mouse.move(corner.x - 196, corner.y + 4, { steps: 5 });
  await page.mouse.up();
  await until("it is narrower", async () => (await placeOf(page, "grid"))[0] === "1 / span 4");
  await page.locator("[data-panel=grid] header").focus();
  await page.keyboard.press("ArrowRight");
  const places = [await placeOf(page, "grid"), await placeOf(page, "chart")];
  assert.equal(places[0][0], "2 / span 4");

  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  await page.reload();
  await gridOf(page);
  assert.deepEqual([await placeOf(page, "grid"), await placeOf(page, "chart")], places);
  settled(page);
  await page.context().close();
});

test("a click in a chart filters the other panels", async () => {
  await keep("crossed");
  const page = await browser.open(server, "/me/boards/boards/crossed");
  await gridOf(page);
  assert.deepEqual((await column(page, "kind")).slice(0, 3), ["small", "big", "big"]);
  const chart = page.locator("[data-panel=chart] .chart");
  await chart.waitFor();
  const { x, y, width, height } = await chart.boundingBox();
  const chips = page.getByLabel("Filters from charts");
  // The click is repeated until the bars are drawn.
  await until("a bar is hit", async () => {
    await page.mouse.move(x + width * 0.3, y + height * 0.6);
    await page.waitForTimeout(150);
    await page.mouse.click(x + width * 0.35, y + height * 0.7);
    return (await chips.count()) > 0;
  });
  const kind = (await chips.locator(".chip").textContent()).replace(/^kind /, "");
  assert.ok(["big", "small"].includes(kind), kind);
  await until("the grid shows these alone", async () => {
    return (await column(page, "kind")).every((it) => it === kind);
  });
  await screenshot(page, "crossed");
  await chips.getByRole("button", { name: `Remove the filter kind ${kind}` }).click();
  await until("all rows are back", async () => new Set(await column(page, "kind")).size === 2);
  settled(page);
  await page.context().close();
});

test("a board has its own colours", async () => {
  await keep("dark");
  const page = await browser.open(server, "/me/boards/boards/dark");
  await gridOf(page);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "light");
  await page.getByRole("button", { name: "More", exact: true }).click();
  await screenshot(page, "more");
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  await until("it is dark", async () => (await theme()) === "dark");
  await page.keyboard.press("Control+z");
  await until("it is undone", async () => (await theme()) === "light");
  await page.keyboard.press("Control+y");
  await until("it is done again", async () => (await theme()) === "dark");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  await page.reload();
  await gridOf(page);
  assert.equal(await theme(), "dark");
  await page.locator("[data-panel=chart] [data-drawn]").waitFor();
  await page.waitForTimeout(1_500);
  await screenshot(page, "board-dark");
  settled(page);
  await page.context().close();
});

test("a read-only key is offered no changes", async () => {
  await keep("shared");
  const key = await server.addKey("me", "read");
  const page = await browser.open(server, "/me/boards/boards/shared", { key });
  await gridOf(page);
  await page.getByText("read only").waitFor();
  for (const name of ["Save", "Edit layout", "Add a panel", "Undo"]) {
    assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
  }
  await page.getByRole("button", { name: "More", exact: true }).click();
  const items = page.getByRole("menuitem");
  assert.deepEqual(await items.locator(".menu-label").allTextContents(), ["Copy link", "Copy embed code", "Print…", "Download as JSON"]);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+s");
  await screenshot(page, "read-only");
  await page.goto(server.url + server.link(TABLE));
  await gridOf(page);
  assert.equal(await page.getByRole("button", { name: "New board" }).count(), 0);
  await page.getByRole("button", { name: "Export this view" }).waitFor();
  settled(page);
  await page.context().close();
});
