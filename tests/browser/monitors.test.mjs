// Monitors on the page.

import assert from "node:assert/strict";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const LIST = "/me/shop/monitors";

const put = async (name, changes = {}) => {
  const document = {
    ...{ format: 1, title: `Monitor ${name}`, table: "me/shop/requests", window: { last: "1h" }, every: "1s" },
    ...{ condition: { kind: "threshold", value: "max(ms)", above: 100, recover: 80 } },
    ...changes,
  };
  const answer = await server.ask("PUT", `/api/monitors/me/shop/${name}`, JSON.stringify(document));
  assert.ok(answer.ok, await answer.text());
};

const get = async (name) => (await server.ask("GET", `/api/monitors/me/shop/${name}`)).json();
const field = (page, label) => page.getByLabel(new RegExp(`^${label.replace(/[()]/g, "\\$&")}`));

before(async () => {
  const now = Date.now() / 1_000;
  const row = (i) => ({ _timestamp: now - 10 * (59 - i), path: ["/", "/cart", "/x\u202e"][i % 3], status: i % 10 ? 200 : 500, ms: 150 + i, answer: "sorry" });
  await server.log("me/shop/requests", numbered(60, row));
  await server.log("me/shop/notes", [{ note: "a" }]);
});

test("monitors are listed with their states, values and thresholds, the worst first", async () => {
  await put("calm", { condition: { kind: "threshold", value: "max(ms)", above: 1e6 } });
  await put("slow", { group_by: "path", severity: "critical" });
  await put("infinite", { condition: { kind: "threshold", value: "CAST(max(ms) AS DOUBLE) / 0", above: 1 } });
  await put("wrong", { condition: { kind: "threshold", value: "max(nothing)", above: 1 } });
  await put("quiet", { where: "ms < 0" });
  const page = await browser.open(server, "/me/shop", WIDE);
  await page.getByRole("link", { name: "Monitors", exact: true }).click();
  const row = (name) => page.getByRole("row", { name: new RegExp(`Monitor ${name}`) });
  const states = { slow: "firing", infinite: "firing", wrong: "error", quiet: "no data", calm: "ok" };
  for (const [name, state] of Object.entries(states)) await row(name).getByText(state, { exact: true }).waitFor();
  assert.match(await row("slow").innerText(), /3 of 3 groups[\s\S]*fires > 100/);
  assert.match(await row("infinite").innerText(), /∞/);
  assert.match(await row("calm").innerText(), /209\s*fires > 1/);
  const names = await page.locator("tbody th a").allTextContents();
  assert.deepEqual(names, ["infinite", "slow", "wrong", "quiet", "calm"].map((name) => `Monitor ${name}`));
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "monitors");
  await page.emulateMedia({ colorScheme: "dark" });
  assert.deepEqual(await violations(page), []);
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  await screenshot(page, "monitors-phone-dark");
  settled(page);
  await page.context().close();
});

test("a monitor has its groups, its changes of state, silences and a test", async () => {
  await put("one", { group_by: "path", notify: ["nobody"], window: { last: "1m" } });
  const page = await browser.open(server, `${LIST}/one`, WIDE);
  const transitions = page.getByRole("region", { name: "Transitions" });
  await until("three groups fire", async () => (await transitions.getByRole("listitem").count()) === 3);
  assert.match(await transitions.getByRole("listitem").first().innerText(), /ok →\s*firing/);
  assert.equal(await page.getByRole("region", { name: "Groups" }).locator("tbody tr").count(), 3);
  await page.getByText("/x⟨U+202E⟩").first().waitFor();
  await page.getByRole("img", { name: /^The figure in the last \d+ windows$/ }).waitFor();
  assert.deepEqual(await violations(page), []);

  await page.getByRole("button", { name: "Test" }).click();
  await page.getByText(/Message to nobody: not sent/).waitFor();
  await page.getByRole("button", { name: "Silence…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("a release");
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("button", { name: "Silence it" }).click();
  await page.getByText(/Silenced until .*: a release/).waitFor();
  const state = async () => (await (await server.ask("GET", "/api/monitors/me/shop/one/state")).json()).silences;
  assert.equal((await state())[0].reason, "a release");
  await screenshot(page, "monitor");
  await page.getByRole("button", { name: "End the silence" }).click();
  await until("the silence has ended", async () => (await state()).length === 0);

  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  await screenshot(page, "monitor-phone");
  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.waitForURL((url) => url.pathname === LIST);
  assert.equal((await server.ask("GET", "/api/monitors/me/shop/one")).status, 404);
  settled(page);
  await page.context().close();
});

test("a monitor is made from a template that fits its table; the server's refusal is at its field", async () => {
  const page = await browser.open(server, server.link("me/shop/requests"), { ...WIDE, expects: [/400/] });
  await page.getByRole("button", { name: "New monitor" }).click();
  await page.waitForURL((url) => url.pathname === LIST);
  const template = (name) => page.getByRole("list", { name: "Templates" }).getByRole("button", { name });
  await template(/^p95 latency/).waitFor();
  assert.ok(await template(/^Accuracy/).isDisabled());
  assert.match(await template(/^Accuracy/).innerText(), /needs columns such as prediction/);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "monitor-templates");
  await template(/^p95 latency/).click();
  assert.equal(await field(page, "Figure").inputValue(), "p95");
  await field(page, "Column").waitFor();
  await field(page, "Title").fill("Slow requests");

  const refusedAt = async (label, reason) => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText(reason).waitFor();
    assert.equal(await page.getByLabel(label).getAttribute("aria-invalid"), "true");
    await screenshot(page, "monitor-refused");
  };
  await field(page, "Only rows where (SQL)").fill("ms >");
  await refusedAt(/^Only rows where/, /sql parser error|Expected/i);
  assert.deepEqual(await violations(page), []);
  await field(page, "Only rows where (SQL)").fill("");
  await page.getByLabel(/^Recovers at/).fill("600");
  await refusedAt(/^Recovers at/, "must be at most `above`");
  await page.getByLabel(/^Recovers at/).fill("");
  await page.getByLabel(/^Window/).fill("0s");
  await refusedAt(/^Window/, "must be 1s");
  await page.getByLabel(/^Window/).fill("1h");
  await page.getByLabel(/^Threshold/).fill("150");
  await page.getByRole("button", { name: "Try it" }).click();
  await page.getByText(/Now:/).waitFor();
  assert.equal((await server.ask("GET", "/api/monitors/me/shop/Slow-requests")).status, 404);
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL((url) => url.pathname === `${LIST}/Slow-requests`);
  const saved = await get("Slow-requests");
  assert.deepEqual(saved.condition, { kind: "threshold", value: 'approx_percentile_cont("ms", 0.95)', above: 150 });
  assert.deepEqual(saved.window, { last: "1h" });
  settled(page);
  await page.context().close();
});

test("each kind of condition is made and changed by the editor", async () => {
  await put("kinds");
  const page = await browser.open(server, `${LIST}/kinds`, WIDE);
  const edit = async (change) => {
    await page.getByRole("button", { name: "Edit" }).click();
    await field(page, "Condition").waitFor();
    await change();
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    return (await get("kinds")).condition;
  };
  const kind = (value) => field(page, "Condition").selectOption(value);
  const changed = await edit(() => kind("change"));
  assert.deepEqual(changed, { kind: "change", value: "max(ms)", measure: "ratio", above: 100, recover: 80 });
  const silent = await edit(() => kind("no_rows"));
  assert.deepEqual(silent, { kind: "no_rows" });
  const drift = await edit(async () => {
    await kind("drift");
    await field(page, "Column (or SQL)").fill("ms");
    await field(page, "Against").selectOption("reference");
  });
  assert.equal(drift.method, "psi");
  assert.ok(drift.against.reference.from);
  const match = await edit(async () => {
    await kind("match");
    await field(page, "Column (or SQL)").fill("answer");
    await field(page, "Regular expression").fill("(?i)sorry");
    await field(page, "Fires if it is").selectOption("below");
    await field(page, "Threshold").fill("0.1");
  });
  assert.deepEqual(match, { kind: "match", column: "answer", pattern: "(?i)sorry", below: 0.1 });
  const query = await edit(async () => {
    await kind("sql");
    await field(page, "SQL").selectOption("query");
    await field(page, "Query").fill("select count(*) as value from me.shop.requests");
  });
  assert.equal(query.query, "select count(*) as value from me.shop.requests");
  settled(page);
  await page.context().close();
});

test("a change of somebody else is not overwritten without a question", async () => {
  await put("shared");
  const page = await browser.open(server, `${LIST}/shared`, { ...WIDE, expects: [/412/] });
  await page.getByRole("button", { name: "Edit" }).click();
  await field(page, "Title").fill("Mine");
  await put("shared", { title: "Theirs" });
  await page.getByRole("button", { name: "Save" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Somebody else saved this monitor").waitFor();
  await dialog.getByRole("button", { name: "Show theirs" }).click();
  await until("theirs is shown", async () => (await field(page, "Title").inputValue()) === "Theirs");
  await field(page, "Title").fill("Both");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Both" }).waitFor();
  assert.equal((await get("shared")).title, "Both");
  settled(page);
  await page.context().close();
});

test("a chart offers a monitor of its figure", async () => {
  const config = { plugin: "Y Line", columns: ["ms"], aggregates: { ms: "p95" }, group_by: ["path"], split_by: ["status"], filter: [["status", "==", 200]] };
  const panels = [{ id: "a", title: "p95 of ms", kind: "chart", table: "me/shop/requests", config, layout: { x: 0, y: 0, w: 6, h: 8 } }];
  assert.ok((await server.ask("PUT", "/api/boards/me/shop/b", JSON.stringify({ format: 1, title: "b", panels }))).ok);
  const page = await browser.open(server, "/me/shop/boards/b", WIDE);
  await page.getByRole("button", { name: "Menu of p95 of ms" }).click();
  await page.getByRole("menuitem", { name: "Alert on this…" }).click();
  await page.waitForURL((url) => url.pathname === LIST);
  await field(page, "Threshold").fill("100");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "p95 of ms" }).waitFor();
  const saved = await get("p95-of-ms");
  assert.deepEqual([saved.where, saved.group_by], ['"status" = 200', '"status"']);
  settled(page);
  await page.context().close();
});

test("a reader sees monitors, and cannot change them", async () => {
  await put("seen");
  const page = await browser.open(server, `${LIST}/seen`, { ...WIDE, key: await server.addKey("me", "read") });
  await page.getByRole("heading", { name: "Monitor seen" }).waitFor();
  for (const name of ["Edit", "Test", "Silence…", "Delete…"]) assert.equal(await page.getByRole("button", { name }).count(), 0);
  await page.goto(`${server.url}${LIST}`);
  await page.getByRole("link", { name: "Monitor seen" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "New monitor" }).count(), 0);
  settled(page);
  await page.context().close();
});
