// Panels with the result of a query.

import assert from "node:assert/strict";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const START = Date.parse("2026-03-01T10:00:00Z") / 1_000;
const panelOf = (page, title) => page.locator(".board-panel", { has: page.getByRole("heading", { name: new RegExp(`^${title}`) }) });

const QUERIES = {
  table: "select status, count(*) as n, avg(ms) as mean_ms, max(big) as big from requests group by status order by status",
  number: "select count(*) as n, sum(ms) as all_ms from requests",
  line: "select date_bin(interval '1 minute', timestamp) as t, path, count(*) as n from me.sql.requests group by t, path order by t",
  bar: "select path, count(*) as n from sql.requests group by path order by n desc",
};

before(async () => {
  const row = (i) => ({ _timestamp: START + 5 * i, path: ["/", "/cart <b>", "/x\u202e"][i % 3], status: i % 10 ? 200 : 500, ms: i + 0.5, big: 9007199254740993 });
  const rows = numbered(300, row).map((it) => JSON.stringify(it).replace("9007199254740992", "9007199254740993"));
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/x-ndjson" };
  assert.ok((await fetch(`${server.url}/api/tables/me/sql/requests/rows`, { method: "POST", headers, body: rows.join("\n") })).ok);
  const panels = Object.entries(QUERIES).map(([show, sql], i) => ({
    ...{ id: show, title: show, kind: "sql", config: { sql, show } },
    layout: { x: 6 * (i % 2), y: 8 * Math.floor(i / 2), w: 6, h: 8 },
  }));
  assert.ok((await server.ask("PUT", "/api/boards/me/sql/b", JSON.stringify({ format: 1, title: "b", panels }))).ok);
});

test("a result is a table, figures or a chart, and follows the rows", async () => {
  const page = await browser.open(server, "/me/sql/boards/b", WIDE);
  const cells = (at) => panelOf(page, "table").locator(`tbody tr:nth-child(${at}) td`).allTextContents();
  await until("the table is there", async () => (await cells(2)).join() === "500,30,145.5,9007199254740993");
  const figures = () => panelOf(page, "number").locator("output").allTextContents();
  assert.deepEqual(await figures(), ["300", "45 s"]);
  for (const show of ["line", "bar"]) await panelOf(page, show).locator("[data-drawn]").waitFor();
  assert.deepEqual(await panelOf(page, "line").locator(".chart-legend bdi").allTextContents(), ["/", "/cart <b>", "/x⟨U+202E⟩"]);
  await panelOf(page, "bar").locator(".chart").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await panelOf(page, "bar").locator("p.hidden").textContent(), "path /, n 100");
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "sql");
  await server.log("me/sql/requests", numbered(10, () => ({ path: "/", status: 200, ms: 0, big: 1 })));
  await until("new rows are counted", async () => (await figures())[0] === "310", 20_000);

  // Not while the board is paused.
  await page.getByRole("button", { name: "Pause" }).click();
  await server.log("me/sql/requests", [{ path: "/", status: 200, ms: 0, big: 1 }]);
  await page.waitForTimeout(6_000);
  assert.equal((await figures())[0], "310");
  await page.getByRole("button", { name: "Resume" }).click();
  await until("they are counted then", async () => (await figures())[0] === "311", 20_000);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.waitForTimeout(1_000);
  await screenshot(page, "sql-phone-dark");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  settled(page);
  await page.context().close();
});

test("a query is added, shows the server's error, is changed, and is saved with the board", async () => {
  const page = await browser.open(server, "/me/sql/boards/b", { ...WIDE, expects: [/400/] });
  await panelOf(page, "table").locator("tbody td").first().waitFor();
  await page.getByRole("button", { name: "Add a panel" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: /^Query/ }).check();
  assert.ok(await dialog.getByRole("button", { name: "Add", exact: true }).isDisabled());
  await dialog.getByRole("textbox", { name: "SQL" }).fill("select nothing from requests");
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  const added = panelOf(page, "Query");
  await added.getByRole("alert").getByText("nothing").waitFor();
  await screenshot(page, "sql-error");
  await added.getByRole("button", { name: "Menu of Query" }).click();
  await page.getByRole("menuitem", { name: "Query…" }).click();
  await dialog.getByRole("textbox", { name: "SQL" }).fill("select value as n from generate_series(1, 2500)");
  await dialog.getByRole("button", { name: "Set it" }).click();
  await added.getByText("the first 1 000 rows").waitFor();
  await until("1,000 rows are shown", async () => (await added.locator("tbody tr").count()) === 1_000);
  assert.equal(await added.getByRole("alert").count(), 0);
  await page.keyboard.press("Control+z");
  await added.getByRole("alert").waitFor();
  await page.keyboard.press("Control+Shift+z");
  await until("the query is back", async () => (await added.locator("tbody tr").count()) === 1_000);
  await added.getByRole("button", { name: "Menu of Query" }).click();
  await page.getByRole("menuitem", { name: "Query…" }).click();
  await dialog.getByRole("textbox", { name: "SQL" }).fill("select 1 as n where false");
  await dialog.getByLabel("Show as").selectOption("bar");
  await dialog.getByRole("button", { name: "Set it" }).click();
  await added.getByText("The query has no rows.").waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  const { panels } = await (await server.ask("GET", "/api/boards/me/sql/b")).json();
  assert.deepEqual(panels.at(-1).config, { sql: "select 1 as n where false", show: "bar" });
  settled(page);
  await page.context().close();
});

test("a query follows the range and the variables of the board by its placeholders", async () => {
  const sql = "select count(*) as n from requests where timestamp >= $from and timestamp < $to and status = $status and '$status' <> ''";
  const panels = [{ id: "a", title: "count", kind: "sql", config: { sql, show: "number" }, layout: { x: 0, y: 0, w: 6, h: 8 } }];
  const rows = { id: "b", title: "rows", kind: "grid", table: "me/sql/requests", config: {}, layout: { x: 0, y: 8, w: 6, h: 8 } };
  const board = { format: 1, title: "v", variables: ["status"], panels: [...panels, rows] };
  assert.ok((await server.ask("PUT", "/api/boards/me/sql/v", JSON.stringify(board))).ok);
  const page = await browser.open(server, "/me/sql/boards/v", WIDE);
  const shows = (n) => until(`${n} rows are counted`, async () => (await panelOf(page, "count").locator("output").allTextContents()).join() === n);
  await page.goto(`${server.url}/me/sql/boards/v#from=2026-03-01T10:00:00.000Z&to=2026-03-01T10:10:00.000Z`);
  await page.reload();
  await shows("120");
  await page.getByRole("combobox", { name: "status" }).selectOption("500");
  await shows("12");
  await page.getByRole("combobox", { name: "status" }).selectOption({ index: 0 });
  await shows("120");
  settled(page);
  await page.context().close();
});
