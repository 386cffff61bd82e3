// The board's page as a user sees it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before } from "node:test";

import { column, gridOf, headers, openRow, read, restore, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, server, testsWithin } from "./setup.mjs";

/** The message of a sandbox that does not run a script. */
const BLOCKED = /Blocked script execution in 'about:srcdoc'/;

const test = testsWithin(60_000);

before(async () => {
  // Rows with pictures, as the demonstration logs them.
  await server.kill();
  const demo = ["demo", "--rows", "600", "--rate", "150", "--data", server.data];
  await server.cli([...demo, "--addr", `127.0.0.1:${server.port}`]);
  await server.run();
});

test("the seed's link opens the panel: columns in their order, oldest row first, all counted", async () => {
  const rows = Array.from({ length: 250 }, (_, i) => ({ zulu: i, alpha: `row ${i}`, mike: i / 8 }));
  await server.log("me/first/t", rows);
  const page = await browser.open(server, server.link("me/first/t"));
  await gridOf(page);
  assert.deepEqual(await headers(page), ["timestamp", "zulu", "alpha", "mike"]);
  assert.deepEqual((await column(page, "zulu")).slice(0, 3), ["0", "1", "2"]);
  assert.deepEqual((await column(page, "mike")).slice(0, 3), ["0", "0.125", "0.25"]);
  await page.getByTestId("facts").getByText("250 rows").waitFor();
  assert.equal((await read(page, ["zulu"])).zulu.length, 250);
  assert.match(await page.title(), /^me\/first\/t/);
  settled(page);
  await page.context().close();
});

test("new columns appear", async () => {
  const table = "me/grows/t";
  await server.log(table, [{ a: 1 }]);
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await server.log(table, [{ a: 2, b: "new" }]);
  await until("the column", async () => (await headers(page)).includes("b"));
  assert.deepEqual(await headers(page), ["timestamp", "a", "b"]);
  await until("its cells", async () => (await column(page, "b"))[1] === "new");
  settled(page);
  await page.context().close();
});

test("new rows appear by themselves, soon", async () => {
  const table = "me/live/t";
  await server.log(table, [{ n: 0, sent: Date.now() }]);
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.getByLabel("Follow newest rows").click();
  // Each frame looks at the last row: how long ago was it sent?
  await page.evaluate(() => {
    const grid = document.querySelector("perspective-viewer-datagrid").regular_table;
    const seen = [];
    let newest = 0;
    let last = performance.now();
    let longest = 0;
    const look = () => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      for (const cell of grid.querySelectorAll("tbody td")) {
        const meta = grid.getMeta(cell);
        if (meta?.column_header?.at(-1) !== "sent" || !(meta.user > newest)) continue;
        newest = meta.user;
        seen.push(Date.now() - newest);
      }
      requestAnimationFrame(look);
    };
    look();
    globalThis.watched = () => ({ seen, longest });
  });
  const end = Date.now() + 5_000;
  let n = 1;
  while (Date.now() < end) {
    const sent = Date.now();
    await server.log(table, Array.from({ length: 50 }, () => ({ n: n++, sent })));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, sent + 50 - Date.now())));
  }
  await until("the last row is seen", async () => {
    return (await column(page, "n")).at(-1) === String(n - 1);
  });
  const { seen, longest } = await page.evaluate(() => globalThis.watched());
  seen.sort((a, b) => a - b);
  const at = (share) => seen[Math.floor((seen.length - 1) * share)];
  console.log(
    `${n} rows in 5 s; seen after ms: p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)} ` +
      `(${seen.length} looks); longest frame ${Math.round(longest)} ms`,
  );
  assert.ok(seen.length >= 20, `${seen.length} looks`);
  // The bounds hold on an idle machine at 150 and 500; checks share theirs with builds.
  assert.ok(at(0.5) <= 500 && at(0.99) <= 2_000);
  settled(page);
  await page.context().close();
});

test("sort, filter, group, split, chart", async () => {
  const table = "me/ask/t";
  const rows = Array.from({ length: 900 }, (_, i) => ({ n: i, kind: "abc"[i % 3], half: i % 2 }));
  await server.log(table, rows);
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await restore(page, { sort: [["n", "desc"]] });
  await until("sorted", async () => (await column(page, "n"))[0] === "899");
  await restore(page, { filter: [["kind", "==", "b"]], sort: [] });
  await until("filtered", async () => (await column(page, "n"))[0] === "1");
  assert.equal((await read(page, ["n"])).n.length, 300);
  // The link to this view opens it.
  await page.getByLabel("Copy link to this view").click();
  await page.getByText("The link to this view is copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const again = await browser.open(server, link.slice(server.url.length));
  await gridOf(again);
  await until("filtered again", async () => (await column(again, "n"))[0] === "1");
  settled(again);
  await again.context().close();

  // The export has the rows on the screen.
  await page.getByRole("button", { name: "Export this view" }).click();
  const download = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: "CSV", exact: true }).click();
  const file = await readFile(await (await download).path(), "utf8");
  const lines = file.trim().split("\n");
  assert.equal(lines[0], "timestamp,n,kind,half");
  assert.deepEqual([lines.length, lines[1].split(",").slice(1)], [301, ["1", "b", "1"]]);

  const groups = { filter: [], group_by: ["kind"], columns: ["n"], aggregates: { n: "sum" } };
  await restore(page, groups);
  const sums = await until("grouped", async () => {
    const { n } = await read(page, ["n"]);
    return n?.length === 4 ? n : null;
  });
  assert.deepEqual(sums, [404550, 134550, 134850, 135150]);
  await restore(page, { ...groups, split_by: ["half"], plugin: "Y Bar" });
  await page.locator(".own-chart .chart").waitFor();
  await page.waitForTimeout(1_500);
  await screenshot(page, "chart");
  settled(page);
  await page.context().close();
});

test("pictures are shown in cells, large after a click, and on a wall", async () => {
  const page = await browser.open(server, server.link("demo/mnist/digits"));
  await gridOf(page);
  const picture = page.locator("perspective-viewer-datagrid img").first();
  await until("a picture is there", () => picture.evaluate((it) => it.naturalWidth === 8));
  assert.deepEqual((await headers(page)).slice(0, 4), ["timestamp", "image", "truth", "prediction"]);
  await screenshot(page, "panel");
  await picture.click();
  const large = page.getByRole("dialog").locator("img");
  await large.waitFor();
  const first = await large.getAttribute("src");
  await page.getByRole("dialog").getByLabel("Next").click();
  await until("the next one", async () => (await large.getAttribute("src")) !== first);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.getByRole("button", { name: "New board" }).click();
  await page.getByRole("menuitem", { name: "Monitoring" }).click();
  await page.waitForURL("**/demo/mnist/boards/*");
  const tile = page.locator(".wall img").first();
  await until("a picture on the wall", () => tile.evaluate((it) => it.naturalWidth === 8));
  await page.waitForTimeout(3_000);
  await screenshot(page, "board");
  await page.mouse.move(640, 500);
  await page.mouse.wheel(0, 900);
  await page.waitForTimeout(2_000);
  await screenshot(page, "board-below");
  settled(page);
  await page.context().close();
});

test("the details of a row have exact values", async () => {
  const table = "me/exact/t";
  const long = "long ".repeat(300).trim();
  const cells = `{"big":9007199254740993,"huge":18446744073709551617,"nan":NaN,"inf":-Infinity,
    "none":null,"nested":{"a":[1,{"b":2}]},"mixed":1,"long":${JSON.stringify(long)}}`;
  const other = `{"big":1,"huge":2,"nan":0.5,"inf":1.5,"none":3,"nested":{"a":[1,{"b":2}]},
    "mixed":"text","long":"short"}`;
  const body = [cells, other].map((row) => row.replaceAll("\n", " ")).join("\n");
  const headersOf = { authorization: `Bearer ${server.key}`, "content-type": "application/x-ndjson" };
  const path = `/api/tables/${table}/rows`;
  const answer = await fetch(server.url + path, { method: "POST", headers: headersOf, body });
  assert.equal(answer.status, 200, await answer.text());
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  const shown = async (name) => (await column(page, name))[0];
  await until("the first row is drawn", () => shown("big"));
  assert.equal(await shown("big"), "9007199254740993");
  assert.equal(await shown("huge"), "18446744073709551617");
  assert.equal(await shown("nan"), "NaN");
  assert.equal(await shown("inf"), "−∞");
  assert.equal(await shown("none"), "");
  assert.deepEqual((await column(page, "mixed")).slice(0, 2), ["1", "text"]);
  await openRow(page.locator("perspective-viewer-datagrid tbody td").nth(1));
  const drawer = page.getByLabel("Row 0", { exact: true });
  await drawer.getByText("18446744073709551617").waitFor();
  assert.ok((await drawer.textContent()).includes(long));
  await drawer.getByRole("button", { name: "Copy JSON" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(copied.includes('"huge": 18446744073709551617'), copied);
  await screenshot(page, "row");
  settled(page);
  await page.context().close();
});

test("a saved board reloads the same after a restart, and goes through the command", async () => {
  const table = "me/kept/t";
  await server.log(table, [{ n: 1, kind: "a" }, { n: 2, kind: "b" }]);
  let page = await browser.open(server, server.link(table));
  await gridOf(page);
  await restore(page, { sort: [["n", "desc"]] });
  await until("sorted", async () => (await column(page, "n"))[0] === "2");
  await page.getByRole("button", { name: "New board" }).click();
  await page.getByRole("menuitem", { name: "From this view" }).click();
  await page.waitForURL("**/me/kept/boards/t*");
  await gridOf(page);
  await page.getByLabel("Add a panel").click();
  await page.getByLabel("Number", { exact: false }).check();
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await page.getByText("count of n").waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The board is saved").waitFor();
  const saved = await server.cli(["board", "get", "me/kept/t"]);
  assert.equal(JSON.parse(saved).panels.length, 2);
  settled(page);
  await page.context().close();

  await server.kill();
  await server.run();
  page = await browser.open(server, "/me/kept/boards/t");
  await gridOf(page);
  assert.deepEqual((await column(page, "n")).slice(0, 2), ["2", "1"]);
  await page.locator(".stat output").getByText("2").waitFor();
  await server.log(table, [{ n: 3, kind: "c" }]);
  await page.locator(".stat output").getByText("3").waitFor();
  await until("the new row", async () => (await column(page, "n"))[0] === "3");
  assert.ok(await page.getByRole("button", { name: "Save", exact: true }).isDisabled());

  await server.cli(["board", "put", "me/kept/copy"], saved);
  assert.match(await server.cli(["board", "ls", "me/kept"]), /copy/);
  await page.goto(`${server.url}/me/kept/boards/copy`);
  await gridOf(page);
  assert.deepEqual((await column(page, "n")).slice(0, 2), ["3", "2"]);
  settled(page);
  await page.context().close();
});

test("the second of two users who change a board is warned", async () => {
  await server.log("me/pair/t", [{ n: 1 }]);
  const document = JSON.stringify({
    format: 1,
    title: "pair",
    range: null,
    refresh: "live",
    theme: "auto",
    workspace: null,
    panels: [],
  });
  const path = "/api/boards/me/pair/b";
  assert.ok((await server.ask("PUT", path, document)).ok);
  const page = await browser.open(server, "/me/pair/boards/b", { expects: [/412/] });
  await page.getByLabel("Add a panel").first().click();
  await page.getByLabel("Text", { exact: false }).check();
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  assert.ok((await server.ask("PUT", path, document.replace('"pair"', '"theirs"'))).ok);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("dialog").getByText("Somebody else saved this board").waitFor();
  await page.getByRole("button", { name: "Save over theirs" }).click();
  await page.getByText("The board is saved").waitFor();
  const kept = await (await server.ask("GET", path)).json();
  assert.equal(kept.panels.length, 1);
  await page.keyboard.press("Control+z");
  await page.getByText("An empty board").waitFor();
  settled(page);
  await page.context().close();
});

test("a board reconnects to a killed server, with no row missing or repeated", async () => {
  const table = "me/dies/t";
  await server.log(table, Array.from({ length: 100 }, (_, n) => ({ n })));
  // The viewer's open requests fail when the server dies.
  const lost = /the connection is lost/;
  const expects = [/WebSocket/, /Failed to load resource/, /ERR_CONNECTION/, lost];
  const page = await browser.open(server, server.link(table), { expects });
  await gridOf(page);
  await page.getByTestId("connection").getByText("live").waitFor();
  await server.kill();
  await page.getByText("reconnecting…").waitFor();
  await screenshot(page, "reconnecting");
  await server.run();
  await page.getByTestId("connection").getByText("live").waitFor({ timeout: 15_000 });
  await server.log(table, Array.from({ length: 50 }, (_, i) => ({ n: 100 + i })));
  const all = await until("all rows are there", async () => {
    const { n } = await read(page, ["n"]);
    return n?.length === 150 && n;
  });
  assert.deepEqual(all, Array.from({ length: 150 }, (_, n) => n));
  await until("and shown", async () => (await column(page, "n"))[0] === "0");
  settled(page);
  await page.context().close();
});

test("a key without the right to read sees nothing", async () => {
  await server.log("secret/p/t", [{ word: "xyzzy" }]);
  const key = await server.addKey("guest", "read");
  const expects = [/404/, /Failed to load resource/];
  const page = await browser.open(server, server.link("secret/p/t"), { key, expects });
  await page.getByText("or your key does not open it").waitFor();
  assert.ok(!(await page.content()).includes("xyzzy"));
  const paths = ["/secret", "/secret/p", "/secret/p/boards/b", "/api/tables/secret/p/t/rows"];
  for (const path of paths) {
    assert.equal((await server.ask("GET", path, undefined, key)).status, 404, path);
  }
  // Over the socket: a page that may be opened, made to ask for what may not.
  await page.goto(`${server.url}/`);
  await page.getByText("No tables yet").waitFor();
  await screenshot(page, "empty");
  await server.log("guest/p/t", [{ n: 1 }]);
  await page.goto(server.url + server.link("guest/p/t"));
  await gridOf(page);
  const heard = await page.evaluate(async () => {
    const viewer = document.querySelector("perspective-viewer");
    try {
      await viewer.restore({ table: "secret/p/t" }, { suppress_errors: true });
      return "opened";
    } catch (error) {
      return String(error);
    }
  });
  assert.notEqual(heard, "opened");
  assert.ok(!heard.includes("xyzzy") && !heard.includes("word"), heard);
  await page.context().close();
});

test("hostile names and cells are harmless", async () => {
  const names = [
    "<script>window.hacked=1</script>",
    "\"><img src=x onerror=window.hacked=1>",
    "'); drop table t; --",
    "a\"b`c",
    "\u202eevil\u202c",
    "x".repeat(10_000),
  ];
  const row = Object.fromEntries(names.map((name) => [name, "<img src=x onerror=window.hacked=1>"]));
  row.md = "{\"_type\":\"html-file\",\"url\":\"javascript:window.hacked=1\"}";
  const table = "me/attack/t";
  await server.log(table, [row, row]);
  const page = await browser.open(server, server.link(table), { expects: [BLOCKED] });
  await gridOf(page);
  const shown = await headers(page);
  assert.ok(shown.includes(names[0]) && shown.includes(names[1]), JSON.stringify(shown).slice(0, 500));
  await openRow(page.locator("perspective-viewer-datagrid tbody td").first());
  await page.getByLabel("Row 0", { exact: true }).getByText("drop table").waitFor();
  await restore(page, { sort: [[names[2], "desc"]] });
  await restore(page, { sort: [], filter: [[names[3], "==", "<img src=x onerror=window.hacked=1>"]] });
  await until("filtered", async () => (await read(page, [names[0]]))[names[0]]?.length === 2);
  await page.goto(`${server.url}/me/attack`);
  await page.getByRole("link", { name: "t", exact: true }).waitFor();

  const text = "# Hi <script>parent.hacked=1</script><img src=x onerror=parent.hacked=1>";
  const panel = { id: "p", title: names[1], kind: "text", config: { text } };
  const document = {
    format: 1,
    title: names[0],
    range: null,
    refresh: "live",
    theme: "auto",
    workspace: null,
    panels: [{ ...panel, layout: { x: 0, y: 0, w: 6, h: 6 } }],
  };
  assert.ok((await server.ask("PUT", "/api/boards/me/attack/b", JSON.stringify(document))).ok);
  await page.goto(`${server.url}/me/attack/boards/b`);
  await page.frameLocator("iframe").getByText("Hi").waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  const strange = page.problems.filter((text) => !/ERR_|Failed to load|Refused|violates/.test(text));
  assert.deepEqual(strange, []);
  await page.context().close();
});

test("nothing is loaded from another origin, and little before the first paint", async () => {
  const context = await browser.chromium.newContext();
  const page = await context.newPage();
  await context.request.post(`${server.url}/login`, { data: { key: server.key } });
  const requests = [];
  page.on("response", async (response) => {
    const size = (await response.request().sizes().catch(() => null))?.responseBodySize ?? 0;
    requests.push([response.url(), size]);
  });
  await page.goto(server.url + server.link("demo/mnist/digits"));
  await gridOf(page);
  for (const [url] of requests) assert.ok(url.startsWith(server.url), url);
  const assets = requests.filter(([url]) => url.includes("/assets/"));
  const bytes = assets.reduce((sum, [, size]) => sum + size, 0);
  console.log(`${assets.length} files, ${bytes} bytes before the first rows are seen`);
  assert.ok(bytes > 100_000 && bytes < 2_000_000, `${bytes} bytes`);
  await context.close();
});

test("the page works by keys, on a phone, in the dark and in a frame", async () => {
  const page = await browser.open(server, "/");
  await page.getByRole("link", { name: "digits", exact: true }).waitFor();
  await screenshot(page, "home");
  await page.keyboard.press("Tab");
  const focused = await page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
  assert.equal(focused, "StreamTable: all tables");
  await page.context().close();

  const link = server.link("demo/mnist/digits");
  const phone = await browser.open(server, link, { viewport: { width: 390, height: 780 } });
  await gridOf(phone);
  await screenshot(phone, "phone");
  const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  assert.equal(await phone.evaluate(overflow), 0);
  await phone.context().close();

  const dark = await browser.open(server, link, { colorScheme: "dark" });
  await gridOf(dark);
  const ground = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(ground, "rgb(20, 24, 27)");
  await screenshot(dark, "dark");
  await dark.context().close();

  const frame = await browser.open(server, link.replace("/?", "/embed?"));
  await gridOf(frame);
  assert.equal(await frame.getByRole("button", { name: "New board" }).count(), 0);
  await screenshot(frame, "embed");
  await frame.context().close();
});
