// Variables of a board: a reader chooses a value for all panels.

import assert from "node:assert/strict";
import { before } from "node:test";

import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };

before(async () => {
  const row = (i) => ({ model: ["gpt <b>", "claude", ""][i % 3], ok: i % 4 > 0, status: i % 20 ? 200 : 500, ms: i + 0.5 });
  await server.log("me/vars/requests", numbered(120, row));
  await server.log("me/vars/others", numbered(7, (i) => ({ n: i })));
  const stat = (id, table, x) => ({
    ...{ id, title: id, table, kind: "stat", layout: { x, y: 0, w: 4, h: 3 } },
    config: { columns: ["rows"], aggregates: { rows: "count" }, expressions: { rows: "1" } },
  });
  const grid = { id: "grid", title: "grid", table: "me/vars/requests", kind: "grid", layout: { x: 0, y: 3, w: 12, h: 8 }, config: {} };
  const panels = [stat("requests", "me/vars/requests", 0), stat("others", "me/vars/others", 4), grid];
  for (const [name, variables] of [["b", []], ["c", ["model"]]]) {
    const document = JSON.stringify({ format: 1, title: name, panels, variables });
    assert.ok((await server.ask("PUT", `/api/boards/me/vars/${name}`, document)).ok);
  }
});

const figure = (page, id) => page.locator(`[data-panel=${id}] output`).textContent();
const counts = (page, id, text) => until(`${id} counts ${text}`, async () => (await figure(page, id)) === text, 20_000);

test("a value that is chosen filters the panels that have its column, and is in the link", async () => {
  const page = await browser.open(server, "/me/vars/boards/b", WIDE);
  await counts(page, "requests", "120");
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Variables…" }).click();
  const dialog = page.getByRole("dialog");
  // Fractions have too many values to choose from.
  await until("the columns of both tables are offered", async () => (await dialog.locator("fieldset bdi").allTextContents()).join() === "n,model,ok,status");
  for (const name of ["model", "ok"]) await dialog.getByLabel(name, { exact: true }).check();
  await dialog.getByRole("button", { name: "Set them" }).click();
  const model = page.getByLabel("model", { exact: true });
  await until("its values are offered", async () => (await model.locator("option").count()) === 4);
  assert.deepEqual(await model.locator("option").allTextContents(), ["all", '"" (40)', "claude (40)", "gpt <b> (40)"]);
  await model.selectOption("gpt <b>");
  await counts(page, "requests", "40");
  assert.equal(await figure(page, "others"), "7");
  await page.getByLabel("ok", { exact: true }).selectOption("false");
  await counts(page, "requests", "10");
  await screenshot(page, "variables");
  await page.goBack();
  await counts(page, "requests", "40");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();

  // The choice is the reader's, the variables are the board's.
  const link = page.url().replace(server.url, "");
  assert.match(link, /#var\.model=gpt/);
  const key = await server.addKey("me", "read");
  const reader = await browser.open(server, link, { ...WIDE, key });
  await counts(reader, "requests", "40");
  assert.equal(await reader.getByLabel("model", { exact: true }).inputValue(), "gpt <b>");
  await reader.getByLabel("model", { exact: true }).selectOption("all");
  await counts(reader, "requests", "120");
  await reader.getByLabel("model", { exact: true }).selectOption({ label: '"" (40)' });
  await counts(reader, "requests", "40");
  const saved = await (await server.ask("GET", "/api/boards/me/vars/b")).json();
  assert.deepEqual(saved.variables, ["model", "ok"]);
  settled(page);
  settled(reader);
  for (const it of [page, reader]) await it.context().close();
});

test("a value without rows says so, and is taken away by one click", async () => {
  const page = await browser.open(server, "/me/vars/boards/c#var.model=gone", WIDE);
  await counts(page, "requests", "0");
  assert.equal(await page.getByLabel("model", { exact: true }).inputValue(), "gone");
  const cover = page.locator("[data-panel=grid] .cover");
  await cover.getByText("No row matches the filters").waitFor();
  await cover.getByRole("button", { name: "Clear the filters" }).click();
  await counts(page, "requests", "120");
  assert.ok(!page.url().includes("var."));
  settled(page);
  await page.context().close();
});
