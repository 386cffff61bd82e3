// Printed boards and tables.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before } from "node:test";

import { gridOf, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

const TABLE = "me/print/requests";
const DARK = { viewport: { width: 1280, height: 800 }, colorScheme: "dark" };

before(async () => {
  const row = (i) => ({ path: ["/", "/cart"][i % 2], status: i % 20 ? 200 : 500, latency_ms: i + 0.5 });
  await server.log(TABLE, numbered(400, row));
});

/** Prints the page, and returns when it calls `window.print`. */
async function print(page) {
  await page.evaluate(() => (window.print = () => (document.documentElement.dataset.printed = "yes")));
  await page.keyboard.press("Control+p");
  await page.locator(":root[data-printed].printing").waitFor({ state: "attached", timeout: 20_000 });
}

/** Writes the PDF beside the screenshots, and returns the number of its pages. */
async function pdf(page, name) {
  const bytes = await page.pdf({ preferCSSPageSize: true, printBackground: true });
  await writeFile(join(process.env.SCREENSHOTS ?? "/tmp", `${name}.pdf`), bytes);
  return bytes.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
}

test("a board is printed in light colours, in its order, with all its charts and without controls", async () => {
  const page = await browser.open(server, `${server.link(TABLE)}#board=service`, DARK);
  await page.locator(".board-panel [data-drawn]").first().waitFor();
  const below = page.locator(".board-panel").filter({ hasText: "latency_ms, p95 by path" }).locator(".chart-canvas");
  assert.equal(await below.getAttribute("data-drawn"), null, "a chart below the screen is not drawn yet");
  await print(page);
  assert.ok((await page.locator(".board-panel.kind-grid tbody td").count()) > 10);
  assert.equal(await below.getAttribute("data-drawn"), "yes");
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  for (const hidden of [".bar-tools", ".time-strip", ".board-panel > header .button"]) {
    assert.equal(await page.locator(hidden).first().isVisible(), false, hidden);
  }
  await page.locator(".print-note").getByText("All time").waitFor();
  // Charts have the size of their panels, and panels do not overlap.
  const cut = await page.locator(".board-panel .chart-canvas").evaluateAll((all) =>
    all.filter((it) => {
      const [own, panel] = [it.querySelector("canvas"), it.closest(".board-panel")].map((box) => box.getBoundingClientRect());
      return own.right > panel.right + 1 || own.bottom > panel.bottom + 1 || own.width < it.getBoundingClientRect().width * 0.9;
    }).length,
  );
  assert.equal(cut, 0);
  await screenshot(page, "print-board");
  const pages = await pdf(page, "print-board");
  assert.ok(pages >= 2 && pages <= 6, `${pages} pages`);

  // Then everything is as before.
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await page.emulateMedia({ media: "screen" });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.locator(".bar-tools").waitFor();
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Print…" }).waitFor();
  settled(page);
  await page.context().close();
});

test("a table is printed with its first rows", async () => {
  const page = await browser.open(server, server.link(TABLE), DARK);
  await gridOf(page);
  const lines = () => page.locator("perspective-viewer-datagrid tbody tr").count();
  const before = await lines();
  await print(page);
  await until("150 rows are drawn", async () => (await lines()) >= 150, 20_000);
  assert.ok(before < 60, `${before}`);
  await page.emulateMedia({ media: "print" });
  await screenshot(page, "print-table");
  const pages = await pdf(page, "print-table");
  assert.ok(pages >= 3 && pages <= 6, `${pages} pages`);
  settled(page);
  await page.context().close();
});
