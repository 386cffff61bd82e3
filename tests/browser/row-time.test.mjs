// The time of a row in tables whose users have a column `timestamp` of their own.

import assert from "node:assert/strict";
import { before } from "node:test";

import { column, gridOf, headers, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const START = Date.parse("2026-03-01T10:00:00Z") / 1_000;
const OWN = "me/clock/own";
const PLAIN = "me/clock/plain";

before(async () => {
  const row = (i) => ({ _timestamp: START + i, path: ["/", "/cart"][i % 2], status: i % 10 ? 200 : 500, latency_ms: i + 0.5 });
  await server.log(OWN, numbered(120, (i) => ({ ...row(i), timestamp: i % 2 ? "noon" : "soon" })));
  await server.log(PLAIN, numbered(120, row));
  const stat = (id, table, x) => ({
    ...{ id, title: id, table, kind: "stat", layout: { x, y: 0, w: 3, h: 3 } },
    config: { columns: ["rows"], aggregates: { rows: "count" }, expressions: { rows: "1" } },
  });
  // As it was saved before the table had a column `timestamp`.
  const chart = (id, table, x) => ({
    ...{ id, title: id, table, kind: "chart", layout: { x, y: 3, w: 6, h: 7 } },
    config: {
      ...{ plugin: "Y Bar", columns: ["rows"], aggregates: { rows: "count" }, group_by: ["time"], group_rollup_mode: "flat" },
      expressions: { rows: "1", time: '"timestamp"' },
      buckets: { time: { column: "timestamp", kind: "time" } },
    },
  });
  const panels = [stat("own", OWN, 0), stat("plain", PLAIN, 3), chart("chart-own", OWN, 0), chart("chart-plain", PLAIN, 6)];
  const document = { format: 1, title: "b", panels, events: [{ table: OWN, label: "timestamp" }] };
  assert.ok((await server.ask("PUT", "/api/boards/me/clock/b", JSON.stringify(document))).ok);
});

const figure = (page, id) => page.locator(`[data-panel=${id}] output`).textContent();
const counts = (page, id, text) => until(`${id} counts ${text}`, async () => (await figure(page, id)) === text, 20_000);

test("ranges, charts, events and picks of a board use the rows' times of each table", async () => {
  const page = await browser.open(server, "/me/clock/boards/b#from=2026-03-01T10:00:30Z&to=2026-03-01T10:00:59Z", WIDE);
  for (const id of ["own", "plain"]) await counts(page, id, "30");
  for (const id of ["own", "plain"]) await page.locator(`[data-panel=${id}] .change`).getByText("▲ 3.4 % from 29").waitFor();
  for (const id of ["chart-own", "chart-plain"]) await page.locator(`[data-panel=${id}] [data-drawn]`).waitFor();
  await page.locator(".time-strip [data-drawn]").waitFor();
  // A mark of the one table is a span of time in the other.
  const chart = page.locator("[data-panel=chart-own]");
  await chart.locator(".chart").focus();
  await until("keys read the events", async () => {
    await page.keyboard.press("ArrowLeft");
    return /[ns]oon/.test(await chart.locator("p.hidden").textContent());
  });
  await page.keyboard.press("Enter");
  for (const id of ["own", "plain"]) await counts(page, id, "1");
  await screenshot(page, "row-time-board");
  assert.deepEqual(await page.locator(".panel-note.error").allTextContents(), []);
  settled(page);
  await page.context().close();
});

test("a table shows both columns, and its strip and its first boards use the rows' times", async () => {
  const page = await browser.open(server, server.link(OWN), WIDE);
  await gridOf(page);
  assert.deepEqual((await headers(page)).slice(0, 2), ["_timestamp", "path"]);
  assert.deepEqual((await column(page, "timestamp")).slice(0, 2), ["soon", "noon"]);
  const strip = page.locator(".time-strip [data-drawn]");
  const { x, y, width, height } = await strip.boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width - 2, y + height / 2, { steps: 5 });
  await page.mouse.up();
  await page.getByRole("button", { name: /^_timestamp ≥ .*2026/ }).waitFor();
  await until("the second half is shown", async () => (await column(page, "path")).length > 0);
  assert.ok(!(await page.locator(".cover").isVisible()));
  for (const template of ["Service", "Overview"]) {
    await page.goto(server.url + server.link(OWN));
    await page.reload();
    await gridOf(page);
    await page.getByRole("button", { name: "New board" }).click();
    await page.getByRole("menuitem", { name: template }).click();
    await page.waitForURL("**/boards/*");
    const panel = page.locator(".board-panel", { hasText: template === "Service" ? "Requests over time" : "Rows over time" }).last();
    await panel.locator("[data-drawn]").waitFor();
    assert.deepEqual(await page.locator(".panel-note.error").allTextContents(), []);
  }
  settled(page);
  await page.context().close();
});
