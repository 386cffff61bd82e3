// A table's headers with statistics and menus, its search, and the details of its rows.

import assert from "node:assert/strict";

import { choose, column, grid, gridOf, openRow, restore, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };

const requests = (count) =>
  numbered(count, (i) => ({
    path: ["/", "/cart", "/search"][i % 3],
    status: [200, 200, 404, 500][i % 4],
    latency_ms: i % 10 ? (i % 100) + 0.5 : null,
    size_bytes: i * 1_000,
    cost_usd: i / 1_000,
    note: `request ${i}`,
  }));

const part = (page, name) =>
  grid(page).locator("thead th").filter({ has: page.getByLabel(`Menu of ${name}`, { exact: true }) }).locator(".st-head");
const saved = (page) => page.evaluate(() => document.querySelector("perspective-viewer").save());
const count = (page) => page.locator(".view-count");

test("headers show types, values and histograms, live, and filter by a click", async () => {
  const table = "me/heads/t";
  await server.log(table, requests(400));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  const status = part(page, "status");
  await status.getByText("50 %").waitFor();
  assert.deepEqual(await status.locator("bdi").allTextContents(), ["200", "404", "500"]);
  assert.equal(await status.locator(".st-type").textContent(), "int");
  const latency = part(page, "latency_ms");
  await latency.getByText("10 % empty").waitFor();
  assert.ok((await latency.locator(".st-bar").count()) >= 10);
  await part(page, "note").getByText("400 values").waitFor();
  await screenshot(page, "headers");

  // New rows change them.
  await server.log(table, numbered(400, () => ({ ...requests(1)[0], status: 503 })));
  await until("the new code leads", async () => (await status.locator("bdi").first().textContent()) === "503", 20_000);

  await status.locator(".st-top").first().click();
  await count(page).getByText("400 of 800 rows").waitFor();
  assert.deepEqual(new Set(await column(page, "status")), new Set(["503"]));
  await page.keyboard.press("Control+z");
  await count(page).getByText("800 rows", { exact: true }).waitFor();
  settled(page);
  await page.context().close();
});

test("the menu of a header sorts, filters, moves, formats and hides, by keys alone", async () => {
  const table = "me/menus/t";
  await server.log(table, requests(120));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await part(page, "status").getByText("50 %").waitFor();
  await choose(page, "size_bytes", "Sort downwards");
  await until("sorted", async () => (await column(page, "size_bytes"))[0] === "119 KB");
  await choose(page, "status", "status 404");
  await count(page).getByText("30 of 120 rows").waitFor();
  await choose(page, "note", "Move to the front");
  await until("moved", async () => (await saved(page)).columns[0] === "note");
  await choose(page, "cost_usd", "Hide");
  await until("hidden", async () => !(await saved(page)).columns.includes("cost_usd"));
  await choose(page, "latency_ms", "Two decimals");
  await until("formatted", async () => (await column(page, "latency_ms")).includes("18.50"));
  await choose(page, "path", "Group by this");
  await count(page).getByText("3 groups").waitFor();
  // Groups have no statistics of rows.
  assert.equal(await grid(page).locator(".st-head").count(), 0);
  settled(page);
  await page.context().close();
});

test("a search over all columns is a key away, counts its rows, and is in the link", async () => {
  const table = "me/search/t";
  await server.log(table, [...requests(60), { ...requests(1)[0], path: "/needle" }, { ...requests(1)[0], note: "a Needle 7" }]);
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await page.getByLabel("Search all columns").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await count(page).getByText("2 of 62 rows").waitFor();
  await until("these rows are shown", async () => (await column(page, "path")).join() === "/needle,/");
  await screenshot(page, "search");
  await page.reload();
  await count(page).getByText("2 of 62 rows").waitFor();
  assert.equal(await page.getByLabel("Search all columns").inputValue(), "needle");
  await page.getByLabel("Search all columns").fill("nothing like this");
  await page.locator(".cover").getByText("No row matches").waitFor();
  await page.getByRole("button", { name: "Clear the filter" }).click();
  await count(page).getByText("62 rows", { exact: true }).waitFor();
  settled(page);
  await page.context().close();
});

test("units follow the names of columns", async () => {
  const table = "me/units/t";
  await server.log(table, [{ latency_ms: 12.5, size_bytes: 1_234_567, cost_usd: 0.25, share_pct: 7, plain: 12.5 }]);
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  const shown = async (name) => (await column(page, name))[0];
  for (const [name, text] of [
    ["latency_ms", "12.5 ms"],
    ["size_bytes", "1.2 MB"],
    ["cost_usd", "$0.25"],
    ["share_pct", "7 %"],
    ["plain", "12.5"],
  ]) {
    await until(`${name} is ${text}`, async () => (await shown(name)) === text);
  }
  settled(page);
  await page.context().close();
});

test("details follow the chosen row, open nested values, filter by a value, and compare two rows", async () => {
  const table = "me/details/t";
  const messages = [
    { role: "user", content: "What is 2 + 2?" },
    { role: "assistant", content: "4" },
  ];
  const row = (i) => ({ n: i, kind: i % 2 ? "odd" : "even", scores: { a: 0.1, b: 0.9 }, deep: { list: [{ x: i }] }, messages });
  await server.log(table, numbered(20, row));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await restore(page, { sort: [["n", "desc"]] });
  await until("sorted", async () => (await column(page, "n"))[0] === "19");
  const cell = (at) => grid(page).locator("tbody tr").nth(at).locator("td").nth(1);
  await openRow(cell(0));
  const drawer = page.locator("aside.drawer");
  await drawer.getByText("Row 19").waitFor();
  await drawer.locator(".scores li").nth(1).waitFor();
  assert.deepEqual(await drawer.locator(".chat p").allTextContents(), ["What is 2 + 2?", "4"]);
  assert.match(await drawer.locator(".cells > div", { hasText: "list" }).textContent(), /list ?1 item.*x ?19/);
  await screenshot(page, "row-details");

  // Keys in the grid choose another row; the details follow in the order of the view.
  await cell(0).click();
  await page.keyboard.press("ArrowDown");
  await drawer.getByText("Row 18").waitFor();

  await drawer.getByRole("button", { name: "Compare with other rows (D)" }).click();
  await drawer.getByRole("button", { name: "Row after" }).click();
  await drawer.getByText("Compared with row 18").waitFor();
  const changed = () => drawer.locator(".changed:not(.system) dt bdi").allTextContents();
  await until("the changes are marked", async () => (await changed()).includes("kind"));
  assert.ok(!(await changed()).includes("scores"));
  await screenshot(page, "row-compared");

  await drawer.getByRole("button", { name: "Filter by this kind" }).click();
  await count(page).getByText("10 of 20 rows").waitFor();
  await drawer.getByRole("button", { name: "Copy kind" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "odd");
  settled(page);
  await page.context().close();
});
