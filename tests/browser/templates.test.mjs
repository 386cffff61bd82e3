// Boards by templates, ranges between two instants, keys and the end of a session.

import assert from "node:assert/strict";

import { gridOf, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { PNG, browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(120_000);

const START = Date.parse("2026-03-01T10:00:00Z") / 1_000;
const cell = { _type: "image-file", path: "media/images/a.png", format: "png", width: 8, height: 8 };
/** Rows for which each template is made, and titles of some of its panels. */
const TABLES = {
  Service: [
    (i) => ({ path: ["/", "/cart"][i % 2], status: i % 10 ? 200 : 500, latency_ms: i + 0.5 }),
    ["Requests", "Share of errors", "latency_ms over time", "Requests by path", "Slowest requests"],
  ],
  Training: [
    (i) => ({ run: `r${i % 2}`, step: i >> 1, loss: 1 / (1 + i), acc: i / 120 }),
    ["Runs", "loss by run", "acc by run", "Newest rows"],
  ],
  LLM: [
    (i) => ({ model: ["a", "b"][i % 2], input_tokens: i, output_tokens: 2 * i, cost_usd: i / 1_000, latency_ms: i, error: i % 9 ? null : "no" }),
    ["Sum of cost_usd", "Tokens over time", "Requests by model", "Newest requests"],
  ],
  Dataset: [(i) => ({ image: cell, label: ["cat", "dog"][i % 2], size: i }), ["Newest pictures", "label", "Distribution of size", "Values present"]],
};

for (const [template, [row, titles]] of Object.entries(TABLES)) {
  test(`the template ${template} makes a board of a table that fits it`, async () => {
    const project = template.toLowerCase();
    const query = `mutation { upsertBucket(input: {entityName: "me", modelName: "${project}", name: "t"}) { inserted } }`;
    assert.ok((await server.ask("POST", "/graphql", JSON.stringify({ query }))).ok);
    await server.upload(`me/${project}/t`, cell.path, PNG);
    await server.log(`me/${project}/t`, numbered(120, (i) => ({ _timestamp: START + i, ...row(i) })));
    const page = await browser.open(server, server.link(`me/${project}/t`), { viewport: { width: 1440, height: 900 } });
    await gridOf(page);
    await page.getByRole("button", { name: "New board" }).click();
    await page.getByRole("menuitem", { name: template }).click();
    await page.waitForURL("**/boards/*");
    await page.getByText("not saved").waitFor();
    for (const title of titles) await page.getByRole("heading", { name: title, exact: false }).first().waitFor();
    for (const panel of await page.locator(".board-panel").all()) {
      await panel.scrollIntoViewIfNeeded();
      await until("the panel has its rows", async () => {
        const texts = await panel.locator("output").allTextContents();
        const isDrawn = (await panel.locator("[data-drawn], .wall img").count()) > 0;
        return texts.length > 0 ? texts.every((it) => it !== "…") : isDrawn;
      }, 30_000);
    }
    assert.deepEqual(await page.locator(".panel-note.error").allTextContents(), []);
    await screenshot(page, `template-${project}`);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("The board is saved").waitFor();
    await page.reload();
    await page.getByRole("heading", { name: `t: ${template}` }).waitFor();
    settled(page);
    await page.context().close();
  });
}

test("templates that do not fit are offered last, with the reason", async () => {
  await server.log("me/plain/t", numbered(5, (i) => ({ name: `n${i}` })));
  const page = await browser.open(server, server.link("me/plain/t"));
  await gridOf(page);
  await page.getByRole("button", { name: "New board" }).click();
  const items = page.getByRole("menuitem");
  await items.getByText("needs a duration").waitFor();
  const offered = await items.evaluateAll((all) => all.filter((it) => !it.disabled).map((it) => it.querySelector(".menu-label").textContent));
  assert.deepEqual(offered, ["Overview", "From this view"]);
  settled(page);
  await page.context().close();
});

test("a board shows a range between two instants, and cards have units and a course", async () => {
  const table = "me/ranges/t";
  await server.log(table, numbered(120, (i) => ({ _timestamp: START + i, latency_ms: i < 60 ? 10 : 2_000 })));
  const stat = (id, x, column, how, more = {}) => ({
    ...{ id, title: id, table, kind: "stat", layout: { x, y: 0, w: 3, h: 3 } },
    config: { columns: [column], aggregates: { [column]: how }, ...more },
  });
  const panels = [stat("all", 0, "rows", "count", { expressions: { rows: "1" } }), stat("mean", 3, "latency_ms", "avg")];
  const document = { format: 1, title: "ranges", panels };
  assert.ok((await server.ask("PUT", "/api/boards/me/ranges/b", JSON.stringify(document))).ok);
  const page = await browser.open(server, "/me/ranges/boards/b", { viewport: { width: 1440, height: 900 } });
  const figure = (id) => page.locator(`[data-panel=${id}] output`).textContent();
  await until("all rows are counted", async () => (await figure("all")) === "120");
  await until("their mean is shown", async () => (await figure("mean")) === "1.01 s");
  await page.locator("[data-panel=mean] .stat-course [data-drawn]").waitFor();

  await page.getByRole("button", { name: "All time" }).click();
  await page.getByRole("menuitemradio", { name: "From … to …" }).click();
  // The page is in New York: 10:00 UTC is 05:00.
  await page.getByLabel("From", { exact: true }).fill("2026-03-01T05:00");
  await page.getByLabel("To", { exact: true }).fill("2026-03-01T05:00:59");
  await page.keyboard.press("Enter");
  await until("the first minute is counted", async () => (await figure("all")) === "60");
  await until("its mean is shown", async () => (await figure("mean")) === "10 ms");
  const range = page.getByRole("button", { name: "1 Mar 2026, 05:00:00 – 05:00:59" });
  await range.waitFor();
  assert.ok(await range.locator("span").evaluate((it) => it.scrollWidth <= it.clientWidth), "the range is cut");
  const change = (id) => page.locator(`[data-panel=${id}] .change`);
  await change("all").getByText("▲ from 0").waitFor();
  await change("mean").getByText("nothing before").waitFor();

  await page.goto(`${page.url().split("#")[0]}#from=2026-03-01T10:01:00Z&to=2026-03-01T10:01:30Z`);
  await page.reload();
  await until("half a minute is counted", async () => (await figure("all")) === "31");
  await change("all").getByText("▲ 3.3 % from 30").waitFor();
  await change("mean").getByText("▲ 19 900 % from 10 ms").waitFor();
  await screenshot(page, "former-period");
  await page.goto(`${page.url().split("#")[0]}#last=all`);
  await page.reload();
  await until("all rows are counted", async () => (await figure("all")) === "120");
  assert.equal(await change("all").count(), 0);
  settled(page);
  await page.context().close();
});

test("keys are made and revoked on the page, and the session ends on it", async () => {
  const page = await browser.open(server, "/", { expects: [/401/] });
  const account = page.getByRole("button", { name: "Account" });
  await account.click();
  await page.getByRole("menuitem", { name: "Keys…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of a new key").fill("reader");
  await dialog.getByLabel("Entity").fill("me");
  await dialog.getByRole("button", { name: "Make a key" }).click();
  const secret = await dialog.locator(".made-key code").textContent();
  assert.ok((await server.ask("GET", "/api/tables", undefined, secret)).ok);
  await screenshot(page, "keys");
  await dialog.getByRole("button", { name: "Revoke reader" }).click();
  await dialog.getByRole("button", { name: "Revoke it for good" }).click();
  await until("it is revoked", async () => (await server.ask("GET", "/api/tables", undefined, secret)).status === 401);
  await dialog.getByRole("button", { name: "Close" }).click();
  await account.click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.waitForURL("**/login");
  await page.goto(`${server.url}/`);
  await page.getByLabel("API key").waitFor();
  await page.context().close();
});
