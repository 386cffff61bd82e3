// Labels of rows and comments on them.

import assert from "node:assert/strict";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { column, gridOf, headers, openRow, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const TABLE = "me/labels/t";
const WIDE = { viewport: { width: 1440, height: 900 } };

before(() => server.log(TABLE, numbered(30, (i) => ({ n: i, path: `/${i % 3}` }))));

const cell = (page, row) => page.locator("perspective-viewer-datagrid tbody tr").nth(row).locator("td").nth(1);
const notes = (page) => page.locator("aside.drawer .notes");
const query = async (sql) => (await server.ask("POST", "/api/query", JSON.stringify({ sql, format: "json" }))).json();

test("a row is labelled and commented on, SQL sees it, and labels are a column", async () => {
  const page = await browser.open(server, server.link(TABLE), WIDE);
  await gridOf(page);
  await openRow(cell(page, 3));
  await notes(page).getByLabel("Label", { exact: true }).fill("it's <b>wrong");
  await page.keyboard.press("Enter");
  await notes(page).locator(".chip").getByText("it's <b>wrong").waitFor();
  for (const text of ["looked at it", "asked ada"]) {
    await notes(page).getByLabel("Comment", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
    await notes(page).locator("li").getByText(text).waitFor();
  }
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "labels");
  await notes(page).getByRole("button", { name: "Show labels as a column" }).click();
  await until("the column is first", async () => (await headers(page))[0] === "row label");
  await until("it has the label", async () => (await column(page, "row label"))[3] === "it's <b>wrong");
  assert.equal(await notes(page).getByRole("button", { name: "Show labels as a column" }).count(), 0);
  const rows = await query("select position, label, comment from me.labels.t_labels order by _timestamp");
  assert.deepEqual(rows, [
    { position: 3, label: "it's <b>wrong", comment: null },
    { position: 3, label: null, comment: "looked at it" },
    { position: 3, label: null, comment: "asked ada" },
  ]);

  // Another label, of another row, and none.
  await openRow(cell(page, 1));
  await until("the other row has none", async () => (await notes(page).locator(".chip").count()) === 0);
  await notes(page).getByLabel("Label", { exact: true }).fill("right");
  await page.keyboard.press("Enter");
  await until("the column follows", async () => (await column(page, "row label")).slice(0, 4).join() === ",right,,it's <b>wrong");
  const known = await notes(page).locator("#known-labels option").evaluateAll((all) => all.map((it) => it.value));
  assert.ok(known.includes("it's <b>wrong"), known.join());
  await notes(page).getByRole("button", { name: "Remove the label right" }).click();
  await until("it is gone", async () => (await column(page, "row label")).slice(0, 4).join() === ",,,it's <b>wrong");
  // It sorts and filters like others, and is in the link.
  await page.reload();
  await gridOf(page);
  await until("the link has the column", async () => (await column(page, "row label"))[3] === "it's <b>wrong");
  await page.emulateMedia({ colorScheme: "dark" });
  await openRow(cell(page, 3));
  await notes(page).locator("li").getByText("asked ada").waitFor();
  await screenshot(page, "labels-dark");
  settled(page);
  await page.context().close();
});

test("readers see labels, and a phone has room for them", async () => {
  await server.log("me/labels/u", numbered(3, (n) => ({ n })));
  await server.log("me/labels/u_labels", [{ position: 1, label: "odd", comment: "why?" }]);
  const key = await server.addKey("me", "read");
  const page = await browser.open(server, server.link("me/labels/u"), { viewport: { width: 390, height: 844 }, key });
  await gridOf(page);
  await openRow(cell(page, 1));
  await notes(page).locator(".chip").getByText("odd").waitFor();
  await notes(page).getByText("why?").waitFor();
  assert.equal(await notes(page).locator("input").count(), 0);
  await screenshot(page, "labels-phone");
  await page.getByRole("button", { name: "Row after" }).click();
  await page.getByRole("heading", { name: "Row 2" }).waitFor();
  await until("a row without notes has no part for them", async () => (await notes(page).count()) === 0);
  settled(page);
  await page.context().close();
  // Labels have no labels.
  const labels = await browser.open(server, server.link("me/labels/u_labels"));
  await gridOf(labels);
  await openRow(cell(labels, 0));
  await labels.locator("aside.drawer dl").waitFor();
  await labels.waitForTimeout(500);
  assert.equal(await notes(labels).count(), 0);
  settled(labels);
  await labels.context().close();
});
