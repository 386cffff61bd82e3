// A headless Chromium, and helpers that read its pages.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";

import { until } from "./server.mjs";

const SCREENSHOTS = process.env.SCREENSHOTS ?? join(tmpdir(), "streamtable-screenshots");
const ARGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
  "--enable-unsafe-swiftshader",
  "--no-first-run",
  "--no-sandbox",
  // Charts are drawn by WebGL, here without a graphics card.
  "--use-angle=swiftshader",
];

/** A folder that `build.mjs --dev` wrote: its files replace those of the binary. */
const DEV = process.env.BOARD_DEV;

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.folder = await mkdtemp(join(tmpdir(), "streamtable-chromium-"));
    browser.chromium = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ARGS,
    });
    await mkdir(SCREENSHOTS, { recursive: true });
    return browser;
  }

  async stop() {
    await this.chromium.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /**
   * Opens a page of a server with a key's session. Errors of the page are added to `page.problems`,
   * except those that a test expects.
   */
  async open(server, path, { key = server.key, expects = [], ...options } = {}) {
    const context = await this.chromium.newContext({
      viewport: { width: 1280, height: 800 },
      locale: "en-GB",
      timezoneId: "America/New_York",
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    if (DEV) await serveFrom(DEV, context);
    const page = await context.newPage();
    page.problems = [];
    const note = (text) => {
      if (!expects.some((expected) => expected.test(text))) page.problems.push(text);
    };
    page.on("pageerror", (error) => note(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") note(message.text());
    });
    page.on("dialog", (dialog) => {
      note(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    const answer = await context.request.post(`${server.url}/login`, { data: { key } });
    if (!answer.ok()) throw new Error(`login: ${answer.status()}`);
    await page.goto(server.url + path);
    return page;
  }
}

async function serveFrom(folder, context) {
  const there = await readdir(folder);
  await context.route("**/assets/*", (route) => {
    const asked = new URL(route.request().url()).pathname.split("/").at(-1);
    const stem = (name) => name.replace(/-[0-9a-f]{10}(?=\.)/, "");
    const name = there.find((it) => it === asked) ?? there.find((it) => stem(it) === stem(asked));
    return name ? route.fulfill({ path: join(folder, name), headers: HEADERS[extname(name)] }) : route.continue();
  });
}

const HEADERS = {
  ".css": { "content-type": "text/css" },
  ".js": { "content-type": "text/javascript", "content-security-policy": "script-src 'self' 'wasm-unsafe-eval'" },
  ".wasm": { "content-type": "application/wasm" },
};

/** Checks that a page had no errors. */
export function settled(page) {
  assert.deepEqual(page.problems, []);
}

export async function screenshot(page, name) {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** Opens the details of a row. A double click while the grid is redrawn may be lost. */
export async function openRow(cell) {
  await until("the details of a row are open", async () => {
    await cell.dblclick();
    const drawer = cell.page().locator("aside.drawer");
    return drawer.waitFor({ timeout: 2_000 }).then(() => true, () => false);
  }, 30_000);
}

/** Returns the part of the page that is the grid. */
export const grid = (page) => page.locator("perspective-viewer-datagrid");

/** Returns the button that opens the menu of a column. */
export const menuOf = (page, name) => grid(page).getByLabel(`Menu of ${name}`, { exact: true });

/** Chooses an item in the menu of a column, by keys alone. */
export async function choose(page, name, item) {
  const wanted = page.getByRole("menuitem", { name: item }).or(page.getByRole("menuitemradio", { name: item }));
  // A change of the columns may still be drawn, which takes the focus away and closes the menu.
  await until(`${item} is chosen`, async () => {
    await menuOf(page, name).focus();
    await page.keyboard.press("Enter");
    const isOffered = await wanted.waitFor({ timeout: 1_000 }).then(() => true, () => false);
    if (!isOffered) return false;
    const isFocused = () => wanted.evaluate((it) => it === document.activeElement, undefined, { timeout: 1_000 });
    try {
      for (let i = 0; i < 40 && !(await isFocused()); i++) await page.keyboard.press("ArrowDown");
      if (!(await isFocused())) return false;
      await wanted.press("Enter", { timeout: 1_000 });
      return true;
    } catch {
      return false;
    }
  }, 40_000);
}

/** Waits until the page's grid shows rows. */
export async function gridOf(page) {
  await page.locator("perspective-viewer-datagrid tbody td").first().waitFor({ timeout: 30_000 });
  await idle(page);
}

/** Returns the texts of the grid's header. */
export function headers(page) {
  return page.evaluate(async () => {
    // While the grid is being drawn it has no headers.
    for (let frame = 0; ; frame++) {
      const grid = document.querySelector("perspective-viewer-datagrid")?.regular_table;
      const last = [...(grid?.querySelectorAll("thead tr") ?? [])].at(-1);
      const cells = [...(last?.querySelectorAll("th") ?? [])];
      if (cells.length > 0 || frame > 120) {
        return cells.map((cell) => (cell.querySelector(":scope > span") ?? cell).textContent.trim());
      }
      await new Promise(requestAnimationFrame);
    }
  });
}

/** Returns the texts of a column's cells on the screen, from the top. */
export function column(page, name) {
  return page.evaluate((name) => {
    const grid = document.querySelector("perspective-viewer-datagrid")?.regular_table;
    const cells = [...(grid?.querySelectorAll("tbody td") ?? [])];
    const isOf = (cell) => grid.getMeta(cell)?.column_header?.at(-1) === name;
    return cells.filter(isOf).map((cell) => cell.textContent);
  }, name);
}

/** Returns all values of columns of the viewer's view; no column while the viewer replaces its view. */
export function read(page, columns) {
  return page.evaluate(async (columns) => {
    try {
      const view = await document.querySelector("perspective-viewer").getView();
      const all = JSON.parse(await view.to_columns_string());
      return Object.fromEntries(columns.map((name) => [name, all[name]]));
    } catch (error) {
      if (/No View/.test(String(error))) return {};
      throw error;
    }
  }, columns);
}

/** Waits until viewers take changes. */
async function idle(page) {
  await page.waitForFunction(() => !document.querySelector(".viewer-host[aria-busy=true]"), undefined, { timeout: 30_000 });
}

/** Changes the viewer's configuration, as its settings would. */
export async function restore(page, config) {
  await idle(page);
  return page.evaluate((config) => document.querySelector("perspective-viewer").restore(config), config);
}
