// The demo's page on which the user draws a digit.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { violations } from "./axe.mjs";
import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, server, testsWithin } from "./setup.mjs";

const test = testsWithin(90_000);

/** The demo as a server of its own. */
const demo = { said: "" };

before(async () => {
  demo.child = server.spawn(["demo", "--rate", "5"]);
  for (const from of ["stdout", "stderr"]) demo.child[from].on("data", (text) => (demo.said += text));
  const printed = /WANDB_BASE_URL=(\S+) WANDB_API_KEY=(\S+)/;
  await until("the demo prints its address", () => printed.test(demo.said), 30_000);
  [, demo.url, demo.key] = printed.exec(demo.said);
  assert.ok(demo.said.includes(`draw digits yourself at ${demo.url}/draw`), demo.said);
});
after(async () => {
  const ended = new Promise((resolve) => demo.child.once("exit", resolve));
  demo.child.kill("SIGINT");
  assert.equal(await ended, 0);
  assert.match(demo.said, /demo\/mnist\/drawn: 3 logged, 3 acked/);
});

const ask = (path, init = {}) => fetch(demo.url + path, init);
const rowsOf = async () => {
  const answer = await ask("/api/tables/demo/mnist/drawn/rows?from=0", { headers: { authorization: `Bearer ${demo.key}` } });
  return (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
};
const figure = (page, title) => page.frameLocator("iframe").locator(".board-panel", { has: page.frameLocator("iframe").getByRole("heading", { name: title, exact: true }) }).locator("output");

/** Draws points from 0 to 1 with the mouse. */
async function drag(page, points) {
  const { x, y, width, height } = await page.locator("#pad").boundingBox();
  const [first, ...rest] = points.map(([px, py]) => [x + px * width, y + py * height]);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of rest) await page.mouse.move(...point);
  await page.mouse.up();
}

test("a digit that is drawn becomes a row, is read, and moves the board", async () => {
  const page = await browser.open(demo, "/draw", { viewport: { width: 1440, height: 900 } });
  await page.getByText("the board of the table appears here").waitFor();
  assert.ok(await page.getByRole("button", { name: "Send it" }).isDisabled());
  const turn = (i) => [0.5 + 0.22 * Math.sin(i / 4), 0.5 - 0.32 * Math.cos(i / 4)];
  await drag(page, Array.from({ length: 26 }, (_, i) => turn(i)));
  await page.locator(".truth").getByText("0").click();
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Read as 0: right").waitFor();
  assert.equal(await page.locator("#scores li").count(), 10);
  await until("the board counts it", async () => (await figure(page, "Predictions").textContent()) === "1", 30_000);
  const [row] = await rowsOf();
  assert.deepEqual([row.truth, row.prediction, row.image.width], [0, 0, 8]);
  assert.ok(Math.abs(Object.values(row.scores).reduce((sum, it) => sum + it) - 1) < 1e-9);

  // By keys: a vertical line, said to be a 7.
  await page.locator("#pad").focus();
  for (const key of ["7", "Space", ...Array(12).fill("ArrowDown"), "Enter"]) await page.keyboard.press(key);
  await page.getByText("Read as 1, not as 7").waitFor();
  await until("the board counts it", async () => (await figure(page, "Predictions").textContent()) === "2");
  await until("its accuracy moves", async () => (await figure(page, "Accuracy").textContent()) === "0.5");
  const outside = page.frameLocator("iframe").locator("a[target]").first();
  assert.match(await outside.getAttribute("href"), /\/demo\/mnist\/boards\/drawn#new=/);
  const mistake = page.frameLocator("iframe").locator(".wall img").first();
  await until("the mistake is on the wall", () => mistake.evaluate((it) => it.naturalWidth === 8), 20_000);
  await screenshot(page, "draw");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(500);
  await screenshot(page, "draw-dark");
  assert.deepEqual(await violations(page), []);
  settled(page);
  await page.context().close();
});

test("a digit is drawn with a finger, and an earlier board is there at once", async () => {
  const page = await browser.open(demo, "/draw", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await until("the board is there", async () => (await figure(page, "Predictions").textContent()) === "2", 30_000);
  const { x, y, width } = await page.locator("#pad").boundingBox();
  const touch = await page.context().newCDPSession(page);
  const at = (type, points) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([px, py]) => ({ x: x + px * width, y: y + py * width })) });
  await at("touchStart", [[0.5, 0.2]]);
  for (let i = 1; i < 10; i++) await at("touchMove", [[0.5, 0.2 + i / 16]]);
  await at("touchEnd", []);
  await page.locator(".truth").getByText("1").click();
  await screenshot(page, "draw-phone");
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Read as 1: right").waitFor();
  await until("the board counts it", async () => (await figure(page, "Predictions").textContent()) === "3");
  assert.equal((await rowsOf()).length, 3);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 390);
  settled(page);
  await page.context().close();
});

test("only those who may write draw, and odd drawings are refused", async () => {
  for (const path of ["/draw", "/draw/page.js"]) assert.equal((await ask(path)).status, 401, path);
  const post = (drawn, key = demo.key) => {
    const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
    return ask("/draw", { method: "POST", headers, body: JSON.stringify(drawn) });
  };
  const pixels = Array(64).fill(0);
  assert.equal((await post({ pixels, truth: 1 }, null)).status, 401);
  const made = await ask("/api/keys", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${demo.key}` },
    body: JSON.stringify({ name: "reader", entity: "demo", right: "read" }),
  });
  assert.equal((await post({ pixels, truth: 1 }, (await made.json()).key)).status, 404);
  for (const odd of [{ pixels, truth: 10 }, { pixels: [1], truth: 1 }, { pixels: Array(64).fill(-1), truth: 1 }, {}]) {
    assert.ok([400, 422].includes((await post(odd)).status), JSON.stringify(odd));
  }
  assert.equal((await rowsOf()).length, 3);
});
