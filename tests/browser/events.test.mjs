// Events that a board's charts over time mark: rows of a table, and instants with a text.

import assert from "node:assert/strict";
import { before } from "node:test";

import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const requests = (n) => numbered(100, (i) => ({ path: ["/", "/cart"][i % 2], status: i % 20 ? 200 : 500, latency_ms: n + i / 10 }));

const chart = (page, title) => page.locator(".board-panel").filter({ has: page.getByRole("heading", { name: title }) });
const lines = (of) => of.locator("[data-testid=event]");

async function openEvents(page) {
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Events on charts…" }).click();
  return page.getByRole("dialog");
}

before(async () => {
  for (let n = 0; n < 5; n++) {
    await server.log("me/events/requests", requests(n));
    if (n === 2) await server.log("me/events/deploys", [{ version: "v1 \u202e <b>", by: null }]);
    await pause(400);
  }
});

test("rows of a table are marked on all charts over time, live, in tooltips, and by keys", async () => {
  const page = await browser.open(server, server.link("me/events/requests") + "#board=service", WIDE);
  const first = chart(page, "Requests over time");
  await first.locator("[data-drawn]").waitFor({ timeout: 20_000 });
  const dialog = await openEvents(page);
  await dialog.getByLabel("The rows of a table").selectOption("me/events/deploys");
  await until("its columns are offered", async () => (await dialog.getByLabel("Named by").locator("option").allTextContents()).includes("version"));
  await dialog.getByLabel("Named by").selectOption("version");
  await dialog.getByRole("button", { name: "Add the table" }).click();
  await dialog.getByText("each row, named by version").waitFor();
  await page.keyboard.press("Escape");
  await until("a line is drawn", async () => (await lines(first).count()) === 1);
  // A character that turns text is shown by its code point, and markup is text.
  assert.equal(await lines(first).textContent(), "v1 ⟨U+202E⟩ <b>");
  for (const it of [chart(page, "latency_ms over time"), page.locator(".time-strip")]) {
    await until("it is on each chart over time", async () => (await lines(it).count()) === 1);
  }
  assert.equal(await lines(chart(page, "Distribution of latency_ms")).count(), 0);

  // At its line, a tooltip names it; keys read it with the bucket that it is in.
  const box = await lines(first).boundingBox();
  await page.mouse.move(box.x + 1, box.y + box.height / 2);
  const tip = page.locator("[data-testid=tip]");
  await tip.getByText("v1 ⟨U+202E⟩ <b>").waitFor();
  await screenshot(page, "events");
  await page.mouse.move(5, 5);
  await first.locator(".chart").focus();
  await until("keys read the event", async () => {
    await page.keyboard.press("ArrowLeft");
    return (await first.locator("p.hidden").textContent()).includes("v1 ⟨U+202E⟩");
  });

  await server.log("me/events/deploys", [{ version: "v2", by: "ada" }]);
  await server.log("me/events/requests", requests(9));
  await until("a new event is marked", async () => (await lines(first).count()) === 2);

  // The board keeps its sources.
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  const saved = await (await server.ask("GET", "/api/boards/me/events/requests")).json();
  assert.deepEqual(saved.events, [{ table: "me/events/deploys", label: "version" }]);
  await page.reload();
  await until("they are drawn again", async () => (await lines(first).count()) === 2, 30_000);

  const again = await openEvents(page);
  await again.getByRole("button", { name: "Remove me/events/deploys" }).click();
  await page.keyboard.press("Escape");
  await until("they are gone", async () => (await lines(first).count()) === 0);
  await page.keyboard.press("Control+z");
  await until("undo brings them back", async () => (await lines(first).count()) === 2);
  settled(page);
  await page.context().close();
});

test("an instant with a text is an event, and one outside of the range is not drawn", async () => {
  const made = await server.ask("GET", "/api/tables/me/events/requests/board?template=overview");
  assert.ok((await server.ask("PUT", "/api/boards/me/events/instants", await made.text())).ok);
  const page = await browser.open(server, "/me/events/boards/instants", WIDE);
  const any = page.locator(".live-chart:has([data-drawn])").first();
  await any.waitFor({ timeout: 20_000 });
  const answer = await server.ask("GET", "/api/tables/me/events/requests/rows?from=0&limit=1");
  const at = Date.parse(JSON.parse((await answer.text()).split("\n")[0]).timestamp) + 500;
  // In the browser's time zone.
  const text = await page.evaluate((at) => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19), Math.ceil(at / 1_000) * 1_000);
  const dialog = await openEvents(page);
  await dialog.getByLabel("One event, your time").fill(text);
  await dialog.getByLabel("Text").fill("cache cleared");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Remove cache cleared" }).waitFor();
  await dialog.getByLabel("One event, your time").fill("2001-02-03T04:05:06");
  await dialog.getByLabel("Text").fill("long ago");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Remove long ago" }).waitFor();
  await page.keyboard.press("Escape");
  await until("the one in the range is drawn", async () => (await lines(page.locator(".kind-chart").first()).allTextContents()).join() === "cache cleared");
  settled(page);
  await page.context().close();
});

test("a source that cannot be read says so, and readers see events without changing them", async () => {
  const made = await (await server.ask("GET", "/api/tables/me/events/requests/board?template=overview")).json();
  const events = [{ table: "me/events/deploys", label: null }, { table: "me/events/nothing", label: null }];
  assert.ok((await server.ask("PUT", "/api/boards/me/events/marked", JSON.stringify({ ...made, events }))).ok);
  const page = await browser.open(server, "/me/events/boards/marked", { ...WIDE, expects: [/404/] });
  await until("events are drawn", async () => (await lines(page.locator(".kind-chart").first()).count()) > 0, 30_000);
  const dialog = await openEvents(page);
  await dialog.getByText(/^cannot be read: /).waitFor();
  settled(page);
  await page.context().close();

  const key = await server.addKey("me", "read");
  const reader = await browser.open(server, "/me/events/boards/marked", { ...WIDE, key, expects: [/404/] });
  await until("events are drawn", async () => (await lines(reader.locator(".kind-chart").first()).count()) > 0, 30_000);
  await reader.getByRole("button", { name: "More", exact: true }).click();
  await reader.getByRole("menuitem", { name: "Copy link" }).waitFor();
  assert.equal(await reader.getByRole("menuitem", { name: "Events on charts…" }).count(), 0);
  settled(reader);
  await reader.context().close();
});
