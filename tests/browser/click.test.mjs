// Clicks every mark of every panel of generated boards, over tables of ordinary and of odd data.

import assert from "node:assert/strict";

import { gridOf, openRow, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(180_000);

/** Rows as JSON lines: integers beyond 2^53 have no JavaScript number. */
const TABLES = {
  requests: numbered(300, (i) => ({
    path: ["/", "/cart", "/search"][i % 3],
    status: [200, 200, 404, 500][i % 4],
    ms: 1 + ((i * 7919) % 1000) / 10,
    bytes: i * 100,
    ok: i % 4 < 2,
  })).map((row) => JSON.stringify(row)),
  "one-row": [JSON.stringify({ x: 0.5, n: 3, name: "only", ok: true })],
  "one-value": numbered(40, () => JSON.stringify({ x: 7, name: "same", kind: "a" })),
  floats: numbered(61, (i) => `{"x":1.5e${i - 30},"signed":${(i - 30.5) / 3},"k":"${i % 2}"}`),
  integers: numbered(40, (i) => `{"big":${2n ** 53n + BigInt(i)},"huge":${10n ** 18n + BigInt(i) * 10n ** 15n},"k":"${i % 2}"}`),
  directions: numbered(30, (i) =>
    JSON.stringify({ "\u202eevil": ["שלום", "\u202edlrow", "plain"][i % 3], "שם": ["أ", "ب"][i % 2], n: i }),
  ),
  long: numbered(30, (i) =>
    JSON.stringify({ ["n".repeat(300)]: i, ["c".repeat(300)]: "v".repeat(300) + (i % 3), k: i % 2 ? "a" : "b" }),
  ),
  odd: numbered(30, (i) => `{"x":${["NaN", "Infinity", "-Infinity", "null", "1.5", "2.5"][i % 6]},"k":${i % 3 ? '"a"' : "null"}}`),
};

async function logLines(table, lines) {
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/x-ndjson" };
  const path = `${server.url}/api/tables/${table}/rows`;
  const answer = await fetch(path, { method: "POST", headers, body: lines.join("\n") });
  assert.ok(answer.ok, `${table}: ${answer.status} ${await answer.text()}`);
}

/** Saves a generated board, and returns its document. */
async function keepGenerated(table, template) {
  const [entity, project, name] = table.split("/");
  const made = await server.ask("GET", `/api/tables/${table}/board?template=${template}`);
  const document = await made.json();
  assert.ok(made.ok, JSON.stringify(document));
  const kept = await server.ask("PUT", `/api/boards/${entity}/${project}/${name}`, JSON.stringify(document));
  assert.ok(kept.ok, await kept.text());
  return document;
}

const errors = (page) => page.locator(".panel-note.error, .state.error").allTextContents();
const chips = (page) => page.getByLabel("Filters from charts").locator(".chip");
const rowsStat = (page) => page.locator("[data-panel=p1] output").textContent();

/** Waits until each panel on the screen has its data. */
async function quiet(page) {
  await page.waitForTimeout(400);
  await until("all figures are there", async () => (await page.locator("output").allTextContents()).every((it) => it !== "…"));
  const waiting = () =>
    page.evaluate(() => {
      const isSeen = (it) => it.getBoundingClientRect().top < innerHeight - 100 && it.getBoundingClientRect().bottom > 100;
      const hosts = [...document.querySelectorAll(".viewer-host")].filter(isSeen);
      return hosts.filter((it) => !it.querySelector("[data-drawn]")).length;
    });
  await until("all charts are drawn", async () => (await waiting()) === 0, 40_000);
}

/** The marks of a chart as fractions of its width and height, those that most charts have first. */
const PLACES = [0.5, 0.3, 0.7, 0.15, 0.25, 0.4, 0.6, 0.85].flatMap((x) => [0.5, 0.75, 0.25, 0.85, 0.1].map((y) => [x, y]));

/** Clicks into a chart until a mark is hit; returns whether one was. */
async function clickMark(page, id) {
  const host = page.locator(`[data-panel=${id}] .viewer-host`);
  await host.scrollIntoViewIfNeeded();
  await host.locator("[data-drawn]").first().waitFor();
  const box = await host.boundingBox();
  for (const [x, y] of PLACES) {
    await page.mouse.move(box.x + box.width * x - 2, box.y + box.height * y);
    await page.waitForTimeout(40);
    await page.mouse.click(box.x + box.width * x, box.y + box.height * y);
    await page.waitForTimeout(80);
    if ((await chips(page).count()) > 0) return true;
  }
  return false;
}

/** Removes all filters, one click each. */
async function removeFilters(page) {
  for (let left = await chips(page).count(); left > 0; left--) {
    await chips(page).first().getByRole("button").click();
    await until("the filter is gone", async () => (await chips(page).count()) === left - 1);
  }
}

async function clickEverything(table, template) {
  const document = await keepGenerated(table, template);
  const path = `/${table.split("/").slice(0, 2).join("/")}/boards/${table.split("/").at(-1)}`;
  const page = await browser.open(server, path, { viewport: { width: 1440, height: 1000 } });
  try {
    await clickPanels(page, document, path);
  } catch (error) {
    await screenshot(page, `click-failed-${document.title}`);
    throw error;
  }
  settled(page);
  await page.context().close();
}

async function clickPanels(page, document, path) {
  await page.locator("[data-panel=p1]").waitFor();
  await quiet(page);
  assert.deepEqual(await errors(page), []);
  const all = await rowsStat(page);
  await screenshot(page, `click-${document.title}`);

  let hits = 0;
  const charts = document.panels.filter((panel) => panel.kind === "chart");
  for (const { id, title } of charts) {
    if (!(await clickMark(page, id))) continue;
    hits += 1;
    await quiet(page);
    assert.deepEqual(await errors(page), [], `${title}: ${await chips(page).allTextContents()}`);
    // A bucket that was clicked has rows, and no more than there are.
    const rows = Number((await rowsStat(page)).replaceAll(" ", ""));
    assert.ok(rows > 0 && rows <= Number(all.replaceAll(" ", "")), `${title}: ${rows} of ${all}`);
    for (const panel of document.panels.filter((it) => !it.config?.filter?.length)) {
      assert.equal(await page.locator(`[data-panel=${panel.id}] .cover`).count(), 0, `${title}: ${panel.title}`);
    }
    await removeFilters(page);
    await until("all rows are back", async () => (await rowsStat(page)) === all);
    assert.deepEqual(await errors(page), [], `${title}, after the filter was removed`);
  }
  assert.ok(hits >= charts.length / 2, `${hits} of ${charts.length} charts have marks`);

  // A row of each grid, and each picture.
  for (const { id } of document.panels.filter((panel) => panel.kind === "grid")) {
    // A panel that is out of sight draws nothing.
    await page.locator(`[data-panel=${id}]`).scrollIntoViewIfNeeded();
    await openRow(page.locator(`[data-panel=${id}] perspective-viewer-datagrid tbody td`).first());
    await page.locator("aside.drawer").waitFor();
    await page.getByRole("button", { name: "Close", exact: true }).click();
  }
  const pictures = page.locator(".board-grid img");
  for (let i = 0; i < Math.min(30, await pictures.count()); i++) {
    const picture = pictures.nth(i);
    await picture.scrollIntoViewIfNeeded().catch(() => undefined);
    await until("the picture is there", () =>
      picture.evaluate((it) => it.complete && it.naturalWidth > 0 && !it.dataset.missing).catch(() => true),
    );
  }

  // A range without rows leaves no picture of other rows.
  await page.goto(`${server.url}${path}#from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z`);
  await page.reload();
  for (const { id } of document.panels.filter((panel) => ["chart", "grid", "images"].includes(panel.kind))) {
    const panel = page.locator(`[data-panel=${id}]`);
    await panel.scrollIntoViewIfNeeded();
    await panel.locator(".cover").getByText("No rows").waitFor();
  }
  await until("no row is counted", async () => (await rowsStat(page)) === "0");
  assert.deepEqual(await errors(page), []);
}

for (const [name, lines] of Object.entries(TABLES)) {
  test(`every mark of the board of ${name} can be clicked`, async () => {
    await logLines(`me/click/${name}`, lines);
    await clickEverything(`me/click/${name}`, "overview");
  });
}

test("every mark of the demo's board can be clicked", async () => {
  await server.kill();
  const demo = ["demo", "--rows", "300", "--rate", "200", "--data", server.data];
  await server.cli([...demo, "--addr", `127.0.0.1:${server.port}`]);
  await server.run();
  await clickEverything("demo/mnist/digits", "monitoring");
});
