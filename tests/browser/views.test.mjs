// Views of a table that are shaped once and kept: pinned columns, saved views, copied rows.

import assert from "node:assert/strict";

import { choose, column, grid, gridOf, restore, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const WIDE = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const wide = (rows, columns) =>
  numbered(rows, (i) => Object.fromEntries(numbered(columns, (c) => [`c${c}`, c % 2 ? i * c : `v${i}`])));

const scrollRight = (page, to) => page.evaluate((to) => (document.querySelector("perspective-viewer-datagrid").regular_table.scrollLeft = to), to);

/** Returns the left edges and the texts of a column's header and cells; empty if it is not drawn. */
const seen = (page, name) =>
  page.evaluate((name) => {
    const { regular_table: table } = document.querySelector("perspective-viewer-datagrid");
    const edge = table.getBoundingClientRect().left;
    const cells = [...table.querySelectorAll("thead tr:last-child th, tbody td")];
    return cells
      .filter((cell) => table.getMeta(cell)?.column_header?.at(-1) === name)
      .map((cell) => {
        const { left, top, height } = cell.getBoundingClientRect();
        const on = table.getRootNode().elementFromPoint(left + 3, top + height / 2);
        return { left: Math.round(left - edge), isOnTop: cell.contains(on) };
      });
  }, name);
const edgesOf = async (page, name) => [...new Set((await seen(page, name)).map(({ left }) => left))];

test("pinned columns stay in sight, in the link, and go with their rows", async () => {
  const table = "me/pins/t";
  await server.log(table, wide(300, 40));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await choose(page, "c5", "Pin to the left");
  await until("it leads", async () => (await edgesOf(page, "c5"))[0] === 0);
  await choose(page, "c3", "Pin to the left");
  const places = async () => [await edgesOf(page, "c5"), await edgesOf(page, "c3")];
  await until("it follows", async () => (await edgesOf(page, "c3"))[0] > 0 && (await edgesOf(page, "c3"))[0] < 200);
  const before = await places();
  await scrollRight(page, 1_500);
  await page.evaluate(() => (document.querySelector("perspective-viewer-datagrid").regular_table.scrollTop = 1_000));
  await until("others are scrolled away", async () => (await edgesOf(page, "c0"))[0] < -500);
  await until("rows are scrolled", async () => Number((await column(page, "c5"))[0]) > 50);
  assert.deepEqual(await places(), before);
  // The first row may be cut by the headers.
  assert.ok((await seen(page, "c5")).slice(2, 20).every(({ isOnTop }) => isOnTop));
  const [fives, ones, threes] = await Promise.all(["c5", "c1", "c3"].map((name) => column(page, name)));
  assert.deepEqual(fives, ones.map((text) => String(5 * Number(text))));
  assert.deepEqual(threes, ones.map((text) => String(3 * Number(text))));
  await screenshot(page, "pinned");

  await page.reload();
  await gridOf(page);
  await until("they are drawn again", async () => JSON.stringify(await places()) === JSON.stringify(before));
  await scrollRight(page, 1_500);
  await until("others are scrolled away", async () => (await edgesOf(page, "c0"))[0] < -500);
  assert.deepEqual(await places(), before);

  // Groups have no pinned columns, and the view has them again without groups.
  await scrollRight(page, 0);
  await page.getByLabel("Group by").selectOption("c0");
  await page.locator(".view-count").getByText("300 groups").waitFor();
  await until("none is pinned", async () => (await grid(page).locator("[data-st-pinned]").count()) === 0);
  await page.getByRole("button", { name: "Remove by c0" }).click();
  await until("they are pinned again", async () => (await grid(page).locator("th[data-st-pinned]").count()) === 2);

  await choose(page, "c5", "Unpin");
  await choose(page, "c3", "Unpin");
  await until("none is pinned", async () => (await grid(page).locator("[data-st-pinned]").count()) === 0);
  await scrollRight(page, 1_500);
  await until("it is scrolled away", async () => ((await edgesOf(page, "c5"))[0] ?? -1) < 0);
  // Only the columns on the screen are drawn.
  await until("few columns are drawn", async () => (await grid(page).locator("thead th").count()) < 30);
  settled(page);
  await page.context().close();
});

test("pinned columns leave room for others on a phone", async () => {
  const table = "me/pins/t";
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await choose(page, "timestamp", "Pin to the left");
  await choose(page, "c1", "Pin to the left");
  await choose(page, "c2", "Pin to the left");
  await until("three are pinned", async () => (await grid(page).locator("th[data-st-pinned]").count()) === 3);
  const link = page.url().replace(server.url, "");
  await page.context().close();
  const phone = await browser.open(server, link, PHONE);
  await gridOf(phone);
  await until("some are pinned", async () => (await grid(phone).locator("th[data-st-pinned]").count()) > 0);
  const right = await grid(phone).locator("th[data-st-pinned]").last().boundingBox();
  assert.ok(right.x + right.width < 0.62 * 390, JSON.stringify(right));
  settled(phone);
  await phone.context().close();
});

const views = (page) => page.getByRole("button", { name: /^Saved views/ });
const item = (page, name) => page.getByRole("menuitem", { name }).or(page.getByRole("menuitemradio", { name }));
const count = (page) => page.locator(".view-count");

/** Chooses an item of the menu of saved views; the button's name then is `then`. */
async function chooseView(page, name, then) {
  await views(page).click();
  await item(page, name).click();
  if (then) await page.getByRole("button", { name: then, exact: true }).waitFor();
}

async function saveAs(page, title) {
  await chooseView(page, "Save as a view…");
  await page.getByRole("dialog").getByLabel("Title").fill(title);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: `Saved views: ${title}`, exact: true }).waitFor();
}

test("a view is saved by name, for all readers, in the link and on a board", async () => {
  const table = "me/saved/requests";
  await server.log(table, numbered(90, (i) => ({ path: ["/", "/cart", "/search"][i % 3], status: [200, 404, 500][i % 3], n: i })));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  const filtered = async (text) => void (await count(page).getByText(text, { exact: true }).waitFor());
  await restore(page, { filter: [["status", ">=", 400]] });
  await filtered("60 of 90 rows");
  await saveAs(page, "Errors <b>");
  await until("the link names the view", () => /#saved=\w+$/.test(page.url()));
  const link = page.url().replace(server.url, "");
  await chooseView(page, "Whole table", "Saved views");
  await filtered("90 rows");
  await chooseView(page, "Errors <b>", "Saved views: Errors <b>");
  await filtered("60 of 90 rows");

  // Changes belong to the link until they are saved; Back undoes them.
  await page.getByLabel("Sort by").selectOption("n");
  await page.getByRole("button", { name: "Saved views: Errors <b>, changed" }).waitFor();
  await until("the link has both", () => /#view=.*&saved=\w+$/.test(page.url()));
  await screenshot(page, "saved-view-changed");
  await page.reload();
  await page.getByRole("button", { name: "Saved views: Errors <b>, changed" }).waitFor({ timeout: 20_000 });
  await page.goBack();
  await page.getByRole("button", { name: "Saved views: Errors <b>", exact: true }).waitFor({ timeout: 20_000 });
  await page.getByLabel("Sort by").selectOption("n");
  await chooseView(page, "Save the changes", "Saved views: Errors <b>");
  await until("the link names the view", () => /#saved=\w+$/.test(page.url()));

  // A second reader, who changes the views at the same time.
  const other = await browser.open(server, link, WIDE);
  await gridOf(other);
  await other.getByRole("button", { name: "Saved views: Errors <b>", exact: true }).waitFor();
  await until("sorted", async () => (await column(other, "n"))[0] === "1");
  await saveAs(other, "Mine");
  await chooseView(page, "Rename…");
  await page.getByRole("dialog").getByLabel("Title").fill("Failures");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Saved views: Failures", exact: true }).waitFor();
  await views(page).click();
  assert.deepEqual(await page.getByRole("menuitemradio").allTextContents(), ["Whole table", "Failures", "Mine"]);
  await page.keyboard.press("Escape");

  // All of them are panels of a board, and a deleted one says so.
  const [{ name, title }] = await (await server.ask("GET", "/api/boards/me/saved")).json();
  assert.deepEqual([name, title], ["requests.views", "requests: saved views"]);
  await chooseView(page, "All views on a board");
  await until("two grids are drawn", async () => (await page.locator(".board-panel perspective-viewer-datagrid[data-drawn]").count()) === 2, 30_000);
  assert.deepEqual(await page.locator(".board-panel h2 bdi").allTextContents(), ["Failures", "Mine"]);
  await page.goto(server.url + link);
  await page.getByRole("button", { name: "Saved views: Failures", exact: true }).waitFor({ timeout: 20_000 });
  await chooseView(page, "Delete…");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Saved views", exact: true }).waitFor();
  await other.goto(server.url + link);
  await other.reload();
  await other.getByText("The saved view of this link was deleted").waitFor({ timeout: 20_000 });
  settled(page);
  settled(other);
  for (const it of [page, other]) await it.context().close();
});

test("a chart is a saved view, too, and looks the same on its board", async () => {
  const table = "me/charted/t";
  await server.log(table, numbered(60, (i) => ({ ms: i })));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await page.getByLabel("Show as").selectOption("Y Line");
  await page.locator(".own-chart [data-drawn]").waitFor();
  await saveAs(page, "Course");
  await page.reload();
  await page.locator(".own-chart [data-drawn]").waitFor({ timeout: 20_000 });
  await chooseView(page, "All views on a board");
  await page.locator(".board-panel .live-chart [data-drawn]").waitFor({ timeout: 20_000 });
  await page.locator(".board-panel h2 small").getByText(/^per /).waitFor();
  settled(page);
  await page.context().close();
});

test("a reader without the right to write opens views and is offered no changes", async () => {
  const table = "me/shown/requests";
  await server.log(table, [{ n: 1 }]);
  const writer = await browser.open(server, server.link(table), WIDE);
  await gridOf(writer);
  await saveAs(writer, "Mine");
  await writer.context().close();
  const key = await server.addKey("me", "read");
  const page = await browser.open(server, server.link(table), { ...WIDE, key });
  await gridOf(page);
  await views(page).click();
  assert.deepEqual(await page.getByRole("menu").locator("button").allTextContents(), ["Whole table", "Mine", "All views on a board"]);
  await page.keyboard.press("Escape");
  await server.log("me/unsaved/t", [{ n: 1 }]);
  const none = await browser.open(server, server.link("me/unsaved/t"), { ...WIDE, key });
  await gridOf(none);
  assert.equal(await views(none).count(), 0);
  for (const it of [page, none]) {
    settled(it);
    await it.context().close();
  }
});

test("the rows of a view are copied as text, in its order and with its groups", async () => {
  const table = "me/copied/t";
  await server.log(table, numbered(1_200, (i) => ({ n: i, big: 2 ** 53 + 2 * i, text: i === 1_199 ? 'a "b" | <c>' : `v${i % 3}`, at: "x" })));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  const copied = async (format) => {
    await page.getByRole("button", { name: "Export this view" }).click();
    await item(page, `Copy as ${format}`).click();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  await restore(page, { columns: ["text", "n", "big"], sort: [["n", "desc"]] });
  await until("sorted", async () => (await column(page, "n"))[0] === "1199");
  const csv = await until("copied", async () => {
    const text = await copied("CSV");
    return text.startsWith("text,n,big") && text;
  });
  await page.getByText("The first 1 000 of 1 200 rows copied as CSV").first().waitFor();
  const lines = csv.trim().split("\r\n");
  assert.deepEqual([lines.length, lines[1], lines.at(-1)], [1_001, '"a ""b"" | <c>",1199,9007199254743390', "v2,200,9007199254741392"]);
  await page.getByLabel("Group by").selectOption("text");
  await count(page).getByText("4 groups").waitFor();
  const markdown = await until("copied", async () => {
    const text = await copied("Markdown");
    return text.startsWith("| text |") && text;
  });
  assert.match(markdown, /^\| text \| text \| n \| big \|\n\| --- \|/);
  assert.ok(markdown.includes('| a "b" \\| \\<c> |'), markdown);
  settled(page);
  await page.context().close();
});

test("a field of a nested value becomes a column, which sorts and filters", async () => {
  const table = "me/fields/t";
  const usage = (i) => ({ tokens: i * 10, "it's <b>": { deep: [i / 2] }, model: `m${i % 2}` });
  await server.log(table, numbered(30, (i) => ({ n: i, usage: usage(i), note: "x" })));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await grid(page).locator("tbody tr").nth(4).locator("td").nth(1).dblclick();
  const drawer = page.locator("aside.drawer");
  await drawer.getByText("Row 4").waitFor();
  const make = async (name) => {
    await drawer.getByRole("button", { name: `Make a column of ${name}`, exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByText(`${name} is a column now`).waitFor();
  };
  const shown = async () => (await page.evaluate(() => document.querySelector("perspective-viewer").save())).columns;
  await make("usage.tokens");
  await until("it is beside its column", async () => (await shown()).join() === "timestamp,n,usage,usage.tokens,note");
  await until("it has its values", async () => (await column(page, "usage.tokens")).slice(0, 3).join() === "0,10,20");
  await make("usage.it's <b>.deep[0]");
  await until("it has its values", async () => (await column(page, "usage.it's <b>.deep[0]")).slice(0, 3).join() === "0,0.5,1");
  await screenshot(page, "fields");
  await page.keyboard.press("Escape");

  await choose(page, "usage.tokens", "Filter…");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Condition").selectOption(">=");
  await dialog.getByLabel("Value").fill("250");
  await page.keyboard.press("Enter");
  await count(page).getByText("5 of 30 rows").waitFor();
  await page.reload();
  await gridOf(page);
  await count(page).getByText("5 of 30 rows").waitFor();
  await until("it has its values", async () => (await column(page, "usage.tokens")).join() === "250,260,270,280,290");
  settled(page);
  await page.context().close();
});

test("numbers are bars or colours in their cells, and addresses are links", async () => {
  const table = "me/scales/t";
  const address = (i) => `https://example.com/${i}?q=<b>`.replace("<b>", i % 2 ? "1" : "javascript:");
  await server.log(table, numbered(100, (i) => ({ ms: i, score: i % 10 ? i / 10 - 5 : null, url: address(i), note: `see ${address(i)}`, evil: "javascript:alert(1)" })));
  const page = await browser.open(server, server.link(table), WIDE);
  await gridOf(page);
  await choose(page, "ms", "Bars");
  const shares = (name) =>
    page.evaluate((name) => {
      const { regular_table: grid } = document.querySelector("perspective-viewer-datagrid");
      const cells = [...grid.querySelectorAll("tbody td")].filter((cell) => grid.getMeta(cell)?.column_header?.at(-1) === name);
      return cells.map((cell) => [cell.dataset.stScale ?? "", cell.dataset.stScale && Number(cell.style.getPropertyValue("--st-share"))]);
    }, name);
  await until("bars are drawn", async () => (await shares("ms"))[9]?.[0] === "bar");
  /** Returns whether the bars are those of the values beside them. */
  const agree = async () => {
    const [values, drawn] = [await column(page, "ms"), await shares("ms")];
    return values.length > 10 && values.every((value, i) => Math.abs(drawn[i]?.[1] - Number.parseFloat(value) / 99) < 1e-3);
  };
  await until("bars are those of their values", agree);
  await choose(page, "score", "Colours");
  await until("colours are drawn", async () => (await shares("score"))[1]?.[0] === "colour");
  // A cell without a value has no colour, also after the cell was reused for another row.
  const score = async () => [(await column(page, "score")).map((text) => (text === "" ? "" : "colour")), (await shares("score")).map(([kind]) => kind)];
  const isRight = async () => {
    const [wanted, drawn] = await score();
    return wanted.includes("") && wanted.includes("colour") && wanted.join() === drawn.join();
  };
  await until("values alone have a colour", isRight);
  await page.evaluate(() => (document.querySelector("perspective-viewer-datagrid").regular_table.scrollTop = 700));
  await until("rows are scrolled", async () => Number.parseFloat((await column(page, "ms"))[0]) > 10);
  await until("bars are those of their values", agree);
  await until("values alone have a colour", isRight);
  await screenshot(page, "scales");

  await page.reload();
  await gridOf(page);
  await until("bars are drawn again", async () => (await shares("ms"))[9]?.[0] === "bar");
  await choose(page, "ms", "Bars");
  await until("there are no bars", async () => (await shares("ms")).every(([kind]) => kind === ""));

  const links = grid(page).locator("tbody td > a");
  assert.ok(await links.evaluateAll((all) => all.length > 10 && all.every((it) => it.getAttribute("href") === it.textContent)));
  assert.equal(await links.first().getAttribute("rel"), "noopener noreferrer");
  // Neither an address within a text nor another scheme is a link.
  assert.ok((await links.evaluateAll((all) => all.map((it) => it.protocol))).every((it) => it === "https:"));
  assert.equal(await links.count(), (await column(page, "url")).length);
  settled(page);
  await page.context().close();
});
