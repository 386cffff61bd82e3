// Panels that compare the distribution of a column with that of earlier rows.

import assert from "node:assert/strict";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const START = Date.parse("2026-03-01T10:00:00Z") / 1_000;
const TABLE = "me/drift/t";

before(async () => {
  // From the second half on, the model prefers cats, and is slower; the age of customers stays.
  const row = (i) => ({
    ...{ _timestamp: START + i, age: 20 + (i % 40), truth: i % 2 },
    ...{ prediction: i < 1_500 || i % 3 ? i % 2 : 0, pet: i < 1_500 ? ["cat", "dog", "owl <b>"][i % 3] : "cat" },
    latency_ms: (i < 1_500 ? 10 : 40) + (i % 17) / 2,
  });
  await server.log(TABLE, numbered(3_000, row));
  const panel = (column, i, config = {}) => ({
    ...{ id: column, title: `Drift of ${column}`, table: TABLE, kind: "drift", layout: { x: 4 * i, y: 0, w: 4, h: 8 } },
    config: { columns: [column], ...config },
  });
  const panels = [panel("age", 0), panel("latency_ms", 1), panel("pet", 2)];
  assert.ok((await server.ask("PUT", "/api/boards/me/drift/b", JSON.stringify({ format: 1, title: "b", panels }))).ok);
});

const drift = (page, column) => page.locator(`[data-panel=${column}]`);
const says = (page, column, text) =>
  until(`${column} says ${text}`, async () => text.test((await drift(page, column).locator(".drift-figure").allTextContents()).join()), 20_000);

test("a column is compared with the first rows of its table, or with the former period of the board's range", async () => {
  const page = await browser.open(server, "/me/drift/boards/b", WIDE);
  await says(page, "age", /^PSI 0\.0\d\d stable 2 000 rows against 1 000$/);
  for (const column of ["latency_ms", "pet"]) await says(page, column, /drift 2 000 rows against 1 000$/);
  await drift(page, "age").getByText("against the first 1 000 rows").waitFor();
  for (const column of ["age", "latency_ms", "pet"]) await drift(page, column).locator("[data-drawn]").waitFor();
  // Both shares are read out: 1,000 cats before, of 3.
  await drift(page, "pet").locator(".chart").focus();
  await page.keyboard.press("ArrowRight");
  const said = await drift(page, "pet").locator("p.hidden").textContent();
  assert.match(said, /^pet cat, now 83\.\d+ %, before 33\.\d+ %$/);
  await screenshot(page, "drift");
  assert.deepEqual(await violations(page), []);

  // A value that is chosen filters the other panels: they compare the rows of cats.
  await page.keyboard.press("Enter");
  await says(page, "age", /^PSI 0\.\d+ .* 1 66\d rows against 334$/);
  await page.getByRole("button", { name: "Remove the filter pet cat" }).click();

  // The second half against the first: two ranges of the same length.
  await page.goto(`${page.url().split("#")[0]}#from=2026-03-01T10:25:00Z&to=2026-03-01T10:50:00Z`);
  await page.reload();
  await says(page, "age", /^PSI 0\.00\d stable 1 500 rows against 1 500$/);
  await says(page, "pet", /^PSI \d.* drift 1 500 rows against 1 500$/);
  await drift(page, "age").getByText("against the former period").waitFor();
  await page.goto(`${page.url().split("#")[0]}#from=2026-03-01T10:00:00Z&to=2026-03-01T10:10:00Z`);
  await page.reload();
  await says(page, "age", /601 rows against 0: nothing to compare yet$/);

  await drift(page, "age").getByRole("button", { name: "Menu of Drift of age" }).click();
  await page.getByRole("menuitem", { name: "Compare with the first 1 000 rows" }).click();
  await says(page, "age", /0 rows against 1 000: nothing to compare yet$/);
  settled(page);
  await page.context().close();
});

test("the template of monitoring has the drift of predictions, and any column can be added", async () => {
  const page = await browser.open(server, `${server.link(TABLE)}#board=monitoring`, WIDE);
  for (const title of ["Drift of prediction", "Drift of latency_ms"]) {
    const panel = page.locator(".board-panel", { has: page.getByRole("heading", { name: title }) });
    await panel.scrollIntoViewIfNeeded();
    await panel.locator(".drift-figure").getByText("2 000 rows against 1 000").waitFor();
    await panel.locator("[data-drawn]").waitFor();
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(800);
  await screenshot(page, "drift-monitoring-dark");
  await page.getByRole("button", { name: "Add a panel" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: /^Drift/ }).check();
  await dialog.locator("label.field", { hasText: "Column" }).locator("select").selectOption("pet");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  const added = page.locator(".board-panel", { has: page.getByRole("heading", { name: "Drift of pet" }) });
  await added.locator("output.bad").waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  settled(page);
  await page.context().close();
});

test("on a phone, a drift panel fits", async () => {
  const page = await browser.open(server, "/me/drift/boards/b", { viewport: { width: 390, height: 844 } });
  await says(page, "age", /stable/);
  await drift(page, "age").locator("[data-drawn]").waitFor();
  await page.waitForTimeout(500);
  await screenshot(page, "drift-phone");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  settled(page);
  await page.context().close();
});
