// Pages and dialogs against the rules of WCAG 2.2 AA, in both themes, and their parts on a phone.

import assert from "node:assert/strict";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { gridOf, openRow, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, server, testsWithin } from "./setup.mjs";

const test = testsWithin(120_000);

before(async () => {
  const rows = Array.from({ length: 120 }, (_, i) => ({
    path: ["/", "/cart", "/search"][i % 3],
    status: [200, 200, 404, 500][i % 4],
    latency_ms: i % 10 ? i + 0.5 : null,
    scores: { a: i, b: 1 },
  }));
  await server.log("me/access/t", rows);
  const made = await server.ask("GET", "/api/tables/me/access/t/board?template=overview");
  assert.ok((await server.ask("PUT", "/api/boards/me/access/b", await made.text())).ok);
});

const STATES = {
  home: ["/", (page) => page.getByRole("link", { name: "t", exact: true }).waitFor()],
  panel: ["table", async (page) => void (await page.locator(".st-bar").first().waitFor())],
  "header menu": ["table", (page) => page.getByLabel("Menu of status").click()],
  "keyboard shortcuts": [
    "table",
    async (page) => {
      // In a field it is a character.
      await page.getByLabel("Search all columns").focus();
      await page.keyboard.press("?");
      assert.equal(await page.getByLabel("Search all columns").inputValue(), "?");
      assert.equal(await page.getByRole("dialog").count(), 0);
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    },
  ],
  "saved views": ["table", (page) => page.getByRole("button", { name: "Saved views" }).click()],
  "filter dialog": ["table", (page) => page.getByRole("button", { name: "Filter", exact: true }).click()],
  row: [
    "table",
    async (page) => {
      await openRow(page.locator("perspective-viewer-datagrid tbody td").nth(1));
      await page.locator("aside.drawer dl").waitFor();
    },
  ],
  chart: [
    "table",
    async (page) => {
      await page.getByLabel("Show as").selectOption("Y Bar");
      await page.locator(".own-chart [data-drawn]").waitFor();
    },
  ],
  board: ["board", (page) => page.locator(".board-panel [data-drawn]").first().waitFor()],
  tooltip: [
    "board",
    async (page) => {
      await page.locator(".kind-chart [data-drawn]").first().waitFor();
      // A chart that was drawn without rows has no marks yet.
      await until("a tooltip", async () => {
        await page.locator(".kind-chart .chart").first().focus();
        await page.keyboard.press("ArrowLeft");
        return page.locator("[data-testid=tip]").waitFor({ timeout: 2_000 }).then(() => true, () => false);
      }, 30_000);
    },
  ],
  events: [
    "board",
    async (page) => {
      await page.getByRole("button", { name: "More", exact: true }).click();
      await page.getByRole("menuitem", { name: "Events on charts…" }).click();
      await page.getByLabel("The rows of a table").selectOption("me/access/t");
      await page.getByRole("button", { name: "Add the table" }).click();
    },
  ],
  variables: [
    "board",
    async (page) => {
      await page.getByRole("button", { name: "More", exact: true }).click();
      await page.getByRole("menuitem", { name: "Variables…" }).click();
      await page.getByRole("dialog").getByLabel("path", { exact: true }).check();
      assert.deepEqual(await violations(page), []);
      await page.getByRole("dialog").getByRole("button", { name: "Set them" }).click();
      await page.getByRole("group", { name: "Variables" }).getByLabel("path").selectOption("/cart");
    },
  ],
  "add a panel": ["board", (page) => page.getByLabel("Add a panel").click()],
};

for (const [name, [where, reach]] of Object.entries(STATES)) {
  test(`WCAG AA in both themes: ${name}`, async () => {
    const path = { table: server.link("me/access/t"), board: "/me/access/boards/b" }[where] ?? where;
    for (const colorScheme of ["light", "dark"]) {
      const page = await browser.open(server, path, { colorScheme, viewport: { width: 1440, height: 900 } });
      if (where === "table") await gridOf(page);
      await reach(page);
      assert.deepEqual(await violations(page), [], colorScheme);
      await screenshot(page, `access-${name.replaceAll(" ", "-")}-${colorScheme}`);
      settled(page);
      await page.context().close();
    }
  });
}

test("on a phone, ticks do not overlap and nothing is wider than the screen", async () => {
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, path] of [
      ["board", "/me/access/boards/b"],
      ["table", server.link("me/access/t")],
      ["home", "/"],
    ]) {
      const page = await browser.open(server, path, { ...phone, colorScheme });
      if (name === "table") await gridOf(page);
      else if (name === "board") await page.locator(".board-panel [data-drawn]").first().waitFor();
      else await page.getByRole("link", { name: "t", exact: true }).waitFor();
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wider, 0, name);
      const isCut = (it) => it.getBoundingClientRect().bottom > it.closest(".stats").getBoundingClientRect().bottom;
      for (const output of await page.locator(".stats output").all()) assert.ok(!(await output.evaluate(isCut)), await output.textContent());
      assert.deepEqual(await violations(page), [], name);
      await screenshot(page, `phone-${name}-${colorScheme}`);
      settled(page);
      await page.context().close();
    }
  }
});
