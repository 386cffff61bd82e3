// States of panels and boards: no rows, late files, odd numbers, many points, keys alone, a phone.

import assert from "node:assert/strict";

import { column, gridOf, headers, openRow, read, restore, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { PNG, browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const NOT_FOUND = [/404/, /Failed to load resource/];

const requests = (count) =>
  numbered(count, (i) => ({
    path: ["/", "/cart", "/search"][i % 3],
    status: [200, 200, 404, 500][i % 4],
    ms: 1 + ((i * 7919) % 1000) / 10,
    bytes: i * 100,
    ok: i % 4 < 2,
    user_id: i % 9,
  }));

/** Reads the view as `read` does; nothing while the view is replaced by another one. */
const readNow = (page, names) => read(page, names).catch(() => ({}));

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Makes a project and a table of one picture column without their files. */
async function pictures(table, count) {
  const [entity, project, run] = table.split("/");
  const query = `mutation { upsertBucket(input: {entityName: "${entity}", modelName: "${project}", name: "${run}"}) { inserted } }`;
  assert.ok((await server.ask("POST", "/graphql", JSON.stringify({ query }))).ok);
  const cell = (i) => ({ _type: "image-file", path: `media/images/${i}.png`, format: "png", width: 8, height: 8 });
  await server.log(table, numbered(count, (i) => ({ n: i, image: cell(i) })));
}

async function keep(path, panels) {
  const document = { format: 1, title: path.split("/").at(-1), panels };
  const answer = await server.ask("PUT", `/api/boards/${path}`, JSON.stringify(document));
  assert.ok(answer.ok, await answer.text());
}

test("a filter without a match says so, keeps the names of the columns, and goes away by a click", async () => {
  const table = "me/none/t";
  await server.log(table, requests(200));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await button(page, "Filter").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Column").selectOption("status");
  await dialog.getByLabel("Value").fill("999");
  await page.keyboard.press("Enter");
  const cover = page.locator(".cover");
  await cover.getByText("No row matches the filter: 0 of 200 rows").waitFor();
  assert.deepEqual(await cover.locator(".cover-columns span").allTextContents(), await columnsOf(page));
  await screenshot(page, "no-match");
  await button(page, "Clear the filter").click();
  await gridOf(page);
  await cover.waitFor({ state: "detached" });
  settled(page);
  await page.context().close();
});

const columnsOf = (page) => page.evaluate(async () => (await document.querySelector("perspective-viewer").save()).columns);

test("a picture that arrives after its row is shown as soon as it is there", async () => {
  const table = "me/late/t";
  await pictures(table, 6);
  await keep("me/late/b", [
    { id: "wall", title: "Wall", table, kind: "images", config: { columns: ["image"] }, layout: { x: 0, y: 0, w: 6, h: 8 } },
    { id: "grid", title: "Grid", table, kind: "grid", config: { plugin: "Datagrid" }, layout: { x: 6, y: 0, w: 6, h: 8 } },
  ]);
  const page = await browser.open(server, "/me/late/boards/b", { expects: NOT_FOUND });
  await gridOf(page);
  const wall = page.locator(".wall img");
  const grid = page.locator("perspective-viewer-datagrid img");
  const states = (images) => images.evaluateAll((all) => all.map((it) => [it.naturalWidth > 0, it.dataset.missing ?? "there"]));
  for (const images of [wall, grid]) {
    await until("placeholders stand for the files", async () => {
      const found = await states(images);
      return found.length === 6 && found.every(([isWhole, state]) => isWhole && state === "yes");
    });
  }
  await screenshot(page, "late-placeholders");
  for (let i = 0; i < 6; i++) await server.upload(table, `media/images/${i}.png`, PNG);
  for (const images of [wall, grid]) {
    const widths = () => images.evaluateAll((all) => all.map((it) => (it.dataset.missing ? 0 : it.naturalWidth)));
    await until("the pictures are there", async () => (await widths()).every((width) => width === 8), 40_000);
  }
  await screenshot(page, "late-there");
  settled(page);
  await page.context().close();
});

test("floats show the digits before their point, and no text turns the text around it", async () => {
  const table = "me/floats/t";
  const values = [1795777932417.48, 123456789.12, 1e-12, 1e15, 1e30, 1e-30, -0.1, 1 / 3];
  await server.log(table, values.map((x, i) => ({ x, name: i ? "plain" : "\u202eevil\u202c" })));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  assert.deepEqual(await column(page, "x"), [
    ...["1795777932417.48", "123456789.12", "1e-12", "1e15", "1e30", "1e-30", "-0.1", "0.333333"],
  ]);
  assert.equal((await column(page, "name"))[0], "⟨U+202E⟩evil⟨U+202C⟩");
  settled(page);
  await page.context().close();
});

/** The element that has the focus, inside of shadow trees too, and whether it is in the viewer. */
const focus = (page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    const isInViewer = element?.closest("perspective-viewer") !== null;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return { isInViewer, name: element?.id || element?.ariaLabel || element?.textContent?.slice(0, 20) || element?.tagName };
  });

test("keys alone filter, sort, group and hide, and leave the settings", async () => {
  const table = "me/keys/t";
  await server.log(table, requests(60));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  const tabTo = async (name) => {
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press("Tab");
      if ((await focus(page)).name === name) return;
    }
    throw new Error(`Tab does not reach ${name}`);
  };
  // Filter.
  await tabTo("Filter");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("Column").waitFor();
  await page.keyboard.type("status");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("404");
  await page.keyboard.press("Enter");
  await until("filtered", async () => (await readNow(page, ["status"])).status?.every((it) => it === 404));
  await page.getByText("15 of 60 rows").waitFor();
  // Sort and group.
  await tabTo("Sort by");
  await page.keyboard.type("ms");
  await until("sorted", async () => {
    const { ms } = await readNow(page, ["ms"]);
    return ms?.every((it, i) => i === 0 || it >= ms[i - 1]);
  });
  await tabTo("Group by");
  await page.keyboard.type("path");
  await page.getByText("3 groups").waitFor();
  // Hide.
  await tabTo("Columns");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("bytes").focus();
  await page.keyboard.press("Space");
  await button(page, "Set them").focus();
  await page.keyboard.press("Enter");
  await until("hidden", async () => !(await columnsOf(page)).includes("bytes"));
  await screenshot(page, "keys");

  // The settings: Tab goes through them and out of them, Escape closes them.
  await page.getByRole("button", { name: "Advanced settings" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("perspective-viewer[settings]").waitFor();
  const seen = [];
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    seen.push((await focus(page)).isInViewer);
  }
  const first = seen.indexOf(true);
  assert.ok(first >= 0 && seen.indexOf(false, first) > first, "the focus enters the settings and leaves them");
  await page.keyboard.press("Escape");
  await page.locator("perspective-viewer:not([settings])").waitFor();
  settled(page);
  await page.context().close();
});

test("groups count codes and identifiers, add up quantities, and say so", async () => {
  const table = "me/groups/t";
  await server.log(table, requests(120));
  const page = await browser.open(server, server.link(table), { viewport: { width: 1440, height: 900 } });
  await gridOf(page);
  await page.getByLabel("Group by").selectOption("path");
  await page.getByText("3 groups").waitFor();
  const { aggregates } = await page.evaluate(() => document.querySelector("perspective-viewer").save());
  const { status, ms, bytes, user_id } = aggregates;
  assert.deepEqual({ status, ms, bytes, user_id }, { status: "count", ms: "avg", bytes: "sum", user_id: "count" });
  await until("the counts are whole", async () => (await column(page, "status"))[0] === "120");
  const prefixes = await page.evaluate(() => {
    const grid = document.querySelector("perspective-viewer-datagrid").regular_table;
    return [...grid.querySelectorAll("thead th")].map((it) => (it.dataset.stHow ?? "") + it.querySelector("span").textContent.trim());
  });
  assert.ok(prefixes.includes("sum of bytes") && prefixes.includes("count of status"), JSON.stringify(prefixes));
  await screenshot(page, "groups");

  // Each change is a step that can be undone.
  await page.keyboard.press("Control+z");
  await until("ungrouped", async () => (await columnsGrouped(page)).length === 0);
  await page.goForward();
  await until("grouped again", async () => (await columnsGrouped(page)).length === 1);
  settled(page);
  await page.context().close();
});

const columnsGrouped = (page) => page.evaluate(async () => (await document.querySelector("perspective-viewer").save()).group_by);

test("details and the mark follow the view's order while rows come", async () => {
  const table = "me/order/t";
  await server.log(table, requests(100).map((row, n) => ({ n, ...row })));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.getByLabel("Sort by").selectOption("ms");
  const cell = (at) => page.locator("perspective-viewer-datagrid tbody tr").nth(at).locator("td").nth(1);
  await until("sorted", async () => {
    const { ms } = await readNow(page, ["ms"]);
    return ms?.every((it, i) => i === 0 || it >= ms[i - 1]) && (await column(page, "ms"))[1] === `${ms[1]} ms`;
  });
  const order = (await read(page, ["n"])).n;
  await openRow(cell(3));
  const drawer = page.locator("aside.drawer");
  await drawer.getByText(`Row ${order[3]}`).waitFor();
  await drawer.getByRole("button", { name: "Row after" }).click();
  await drawer.getByText(`Row ${order[4]}`).waitFor();
  await drawer.getByRole("button", { name: "Row before" }).click();
  await drawer.getByRole("button", { name: "Row before" }).click();
  await drawer.getByText(`Row ${order[2]}`).waitFor();
  await drawer.getByRole("button", { name: "Close" }).click();

  // Rows that sort before the marked one move it down; the mark goes with it.
  const marked = () =>
    page.evaluate(() => {
      const grid = document.querySelector("perspective-viewer-datagrid").regular_table;
      const cells = [...grid.querySelectorAll('td[data-st-chosen="yes"], td[data-st-chosen="cell"]')];
      return cells.find((it) => grid.getMeta(it).column_header.at(-1) === "n")?.textContent ?? null;
    });
  assert.equal(await marked(), String(order[3]));
  await server.log(table, numbered(5, (i) => ({ ...requests(1)[0], n: 1000 + i, ms: -i })));
  await until("the new rows are there", async () => (await column(page, "n"))[0] === "1004");
  await until("the mark is with its row", async () => (await marked()) === String(order[3]));

  // The whole value of the chosen cell is copied.
  await cell(0).click();
  await page.keyboard.press("Control+c");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "1004");
  settled(page);
  await page.context().close();
});

test("headers sort all kinds of columns, are dragged to move, and do not grow with long names", async () => {
  const table = "me/headers/t";
  const long = "n".repeat(300);
  await server.log(table, numbered(40, (i) => ({ a: i, ok: i % 3 === 0, c: `c${i}`, [long]: i })));
  const page = await browser.open(server, server.link(table), { viewport: { width: 1440, height: 900 } });
  await gridOf(page);
  const header = (name) =>
    page.locator("perspective-viewer-datagrid thead th").filter({ has: page.getByText(name, { exact: true }) }).first();
  const sort = () => page.evaluate(async () => (await document.querySelector("perspective-viewer").save()).sort);
  await header("ok").click({ position: { x: 14, y: 10 } });
  await until("booleans are sorted", async () => JSON.stringify(await sort()) === '[["ok","desc"]]');
  await until("and shown so", async () => (await column(page, "ok"))[0] === "true");
  const [from, to] = [await header("c").boundingBox(), await header("a").boundingBox()];
  await page.mouse.move(from.x + from.width / 2, from.y + 10);
  await page.mouse.down();
  await page.mouse.move(to.x + 6, to.y + 10, { steps: 6 });
  await page.mouse.up();
  await until("the column is moved", async () => (await columnsOf(page)).slice(0, 3).join() === "timestamp,c,a");
  assert.deepEqual(await sort(), [["ok", "desc"]]);
  const wide = await header(long).boundingBox();
  assert.ok(wide.width <= 260, `${wide.width} px`);
  settled(page);
  await page.context().close();
});

test("templates that do not fit say why, and a new board is kept when it is saved", async () => {
  const table = "me/made/t";
  await server.log(table, requests(50));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.getByRole("button", { name: "New board" }).click();
  const monitoring = page.getByRole("menuitem", { name: "Monitoring" });
  await monitoring.getByText("needs a column of predictions").waitFor();
  assert.ok(await monitoring.isDisabled());
  await page.getByRole("menuitem", { name: "Overview" }).click();
  await page.waitForURL("**/me/made/boards/t*");
  await page.getByText("not saved").waitFor();
  assert.deepEqual(await (await server.ask("GET", "/api/boards/me/made")).json(), []);
  await button(page, "Save").click();
  await page.getByText("The board is saved").waitFor();
  assert.ok(page.url().endsWith("/me/made/boards/t"), page.url());

  // Looking at it is no change of it.
  await page.getByRole("button", { name: "All time" }).click();
  await page.getByRole("menuitemradio", { name: "Last hour" }).click();
  await button(page, "Pause").click();
  assert.match(page.url(), /last=1h.*refresh=paused/);
  assert.ok(await button(page, "Save").isDisabled());
  assert.equal(await page.getByText("not saved").count(), 0);
  await page.reload();
  await button(page, "Resume").waitFor();
  await page.getByRole("button", { name: "Last hour" }).waitFor();

  // A new title leaves the link as it is; the earlier version can be shown again.
  await button(page, "More").click();
  await page.getByRole("menuitem", { name: "Rename…" }).click();
  await page.getByLabel("Title").fill("Other title");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Other title" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Other title" }).waitFor();
  await button(page, "More").click();
  await page.getByRole("menuitem", { name: "History…" }).click();
  await page.getByRole("dialog").getByText("Version 1").waitFor();
  await screenshot(page, "history");
  await page.getByRole("dialog").getByRole("button", { name: "Show" }).last().click();
  await page.getByRole("heading", { name: "t", exact: true }).waitFor();
  await page.getByText("not saved").waitFor();

  // A new panel comes into sight.
  await page.getByLabel("Add a panel").click();
  await page.getByLabel("Text", { exact: false }).check();
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await until("the panel is on the screen", () =>
    page.locator(".board-panel.new").evaluate((it) => {
      const { top, bottom } = it.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }),
  );
  settled(page);
  await page.context().close();
});

test("a scatter of many rows draws a sample, and says so", async () => {
  const table = "me/many/t";
  for (let part = 0; part < 4; part++) {
    await server.log(table, numbered(15_000, (i) => ({ x: i % 997, y: (i * 31 + part) % 1009 })));
  }
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await button(page, "Columns").click();
  await page.getByRole("dialog").getByLabel("timestamp").uncheck();
  await button(page, "Set them").click();
  await page.getByLabel("Show as").selectOption("X/Y Scatter");
  await page.getByText("Shows 1 of every 3 rows: the table has 60 000").waitFor({ timeout: 30_000 });
  await page.waitForTimeout(2_000);
  await screenshot(page, "sample");
  settled(page);
  await page.context().close();
});

test("a table without a first row says how it gets one, and appears with it", async () => {
  const table = "me/soon/t";
  const query = `mutation { upsertBucket(input: {entityName: "me", modelName: "soon", name: "t"}) { inserted } }`;
  assert.ok((await server.ask("POST", "/graphql", JSON.stringify({ query }))).ok);
  const page = await browser.open(server, server.link(table));
  await page.getByText("No such table yet").waitFor();
  assert.equal(await page.getByRole("button", { name: "New board" }).count(), 0);
  await page.waitForTimeout(2_500);
  await screenshot(page, "no-table");
  await server.log(table, [{ n: 1 }]);
  await gridOf(page);
  await page.getByTestId("facts").getByText("1 row").waitFor();
  settled(page);
  await page.context().close();
});

test("a filter in Perspective's settings violates no policy, and labels are whole", async () => {
  const table = "me/policy/t";
  await server.log(table, requests(30));
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.getByRole("button", { name: "Advanced settings" }).click();
  await page.locator("perspective-viewer[settings]").waitFor();
  await restore(page, { filter: [["path", "==", "/"]] });
  await until("filtered", async () => (await readNow(page, ["path"])).path?.length === 10);
  await page.waitForTimeout(500);
  // No row of "Edit" buttons under the names.
  assert.ok(!(await headers(page)).includes("Edit"));
  await screenshot(page, "settings");
  settled(page);
  await page.context().close();
});

test("a phone: a tap opens a row, tools fit, nothing is wider than the screen", async () => {
  const table = "me/phone/t";
  await server.log(table, requests(80));
  const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };
  const page = await browser.open(server, server.link(table), phone);
  await gridOf(page);
  await screenshot(page, "phone-table");
  await page.locator("perspective-viewer-datagrid tbody td").first().tap();
  await page.locator("aside.drawer").getByText("Row 0").waitFor();
  await screenshot(page, "phone-row");
  await page.getByRole("button", { name: "Close" }).click();
  const bar = await page.locator("header.bar").boundingBox();
  assert.ok(bar.height <= 100, `the bar is ${bar.height} px high`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
  settled(page);
  await page.context().close();
});
