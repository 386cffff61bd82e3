// The links that clients print, and the files of media cells.

import assert from "node:assert/strict";

import { column, gridOf, headers, openRow, read, screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, server, testsWithin } from "./setup.mjs";

const test = testsWithin(120_000);

/** Opens the link that a client printed, and checks the rows that it logged. */
async function opens(said, count, columns) {
  const link = said.split(/\s/).find((word) => word.includes("/?exp="));
  assert.ok(link?.startsWith(server.url), said);
  const page = await browser.open(server, link.slice(server.url.length));
  await gridOf(page);
  assert.deepEqual(await headers(page), ["timestamp", ...columns]);
  await page.getByTestId("facts").getByText(`${count} rows`).waitFor();
  const all = await read(page, ["timestamp", ...columns]);
  const numbers = Array.from({ length: count }, (_, i) => i);
  assert.deepEqual(all.zulu, numbers);
  assert.deepEqual(all.alpha, numbers.map((i) => `row ${i}`));
  assert.deepEqual(all.mike, numbers.map((i) => i / 8));
  assert.ok(all.timestamp.every((time, i) => i === 0 || time >= all.timestamp[i - 1]));
  assert.deepEqual((await column(page, "zulu")).slice(0, 3), ["0", "1", "2"]);
  return page;
}

test("the real weave client's link opens the panel", async () => {
  const said = await server.python("weave-0.24", "weave_rows.py", ["me", "seed", "legacy", "120"]);
  const page = await opens(said, 120, ["zulu", "alpha", "mike", "ok"]);
  await screenshot(page, "weave");
  settled(page);
  await page.context().close();
});

test("our own client's link opens the panel", async () => {
  const rows = Array.from({ length: 120 }, (_, i) => ({ zulu: i, alpha: `row ${i}`, mike: i / 8 }));
  const input = rows.map((row) => JSON.stringify(row)).join("\n");
  const page = await opens(await server.said(["log", "me/seed/own"], input), 120, ["zulu", "alpha", "mike"]);
  settled(page);
  await page.context().close();
});

test("a login link logs in by its button alone", async () => {
  // The login page has no icon.
  const page = await browser.open(server, "/", { expects: [/status of 404/] });
  // The home page would go to the login page by itself once its cookies are gone.
  await page.goto("about:blank");
  await page.context().clearCookies();
  const { url } = await (await server.ask("POST", "/api/login-links", "{}")).json();
  await page.goto(`${url}&next=${encodeURIComponent("/?from=link")}`);
  await page.getByText("This link logs this browser in").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${server.url}/?from=link`);
  // A browser that is logged in goes on at once.
  const { url: again } = await (await server.ask("POST", "/api/login-links", "{}")).json();
  await page.goto(`${again}&next=${encodeURIComponent("/?from=again")}`);
  assert.equal(page.url(), `${server.url}/?from=again`);
  settled(page);
  await page.context().close();
});

test("sounds and films play", async () => {
  const table = "me/media/t";
  const page = await browser.open(server, "/");
  const film = Buffer.from(await page.evaluate(recorded), "base64");
  await page.context().close();
  const query = `mutation { upsertBucket(input: {entityName: "me", modelName: "media", name: "t"}) {
    inserted } }`;
  assert.ok((await server.ask("POST", "/graphql", JSON.stringify({ query }))).ok);
  await server.upload(table, "media/audio/tone.wav", tone(0.5));
  await server.upload(table, "media/video/film.webm", film);
  const cell = (kind, path, caption) => ({ _type: `${kind}-file`, path, caption });
  await server.log(table, [
    {
      sound: cell("audio", "media/audio/tone.wav", "a tone"),
      film: cell("video", "media/video/film.webm", "a film"),
    },
  ]);

  const shown = await browser.open(server, server.link(table));
  await gridOf(shown);
  await shown.locator("perspective-viewer-datagrid").getByText("a tone").click();
  const audio = shown.getByRole("dialog").locator("audio");
  // Its header, which has its length, is read before it is played.
  const seconds = await until("the sound is there", () => audio.evaluate((it) => it.duration || 0));
  assert.equal(seconds, 0.5);
  await audio.evaluate((it) => it.play());
  await until("the sound has been played", () => audio.evaluate((it) => it.ended));
  await shown.keyboard.press("Escape");

  await shown.locator("perspective-viewer-datagrid").getByText("a film").click();
  const video = shown.getByRole("dialog").locator("video");
  await until("the film is there", () => video.evaluate((it) => it.videoWidth === 64));
  await screenshot(shown, "film");
  await shown.keyboard.press("Escape");

  // A row in full has both.
  await openRow(shown.locator("perspective-viewer-datagrid tbody td").first());
  const drawer = shown.getByLabel("Row 0", { exact: true });
  await drawer.locator("audio").waitFor();
  await drawer.locator("video").waitFor();
  settled(shown);
  await shown.context().close();
});

/** Returns a sound of 440 Hz with 8 bits and 8,000 samples a second. */
function tone(seconds) {
  const rate = 8_000;
  const samples = Buffer.from(
    Array.from({ length: seconds * rate }, (_, i) => 128 + 100 * Math.sin((i * 440 * 2 * Math.PI) / rate)),
  );
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

/** In a page: a film of a few frames that its browser makes, in base64. */
async function recorded() {
  const canvas = document.createElement("canvas");
  canvas.width = 64;
  canvas.height = 48;
  const context = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm;codecs=vp8" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  for (let i = 0; i < 12; i++) {
    context.fillStyle = `hsl(${i * 30} 80% 50%)`;
    context.fillRect(0, 0, 64, 48);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  recorder.stop();
  await stopped;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}

test("a link of `open` logs the browser in and goes on to the table", async () => {
  const table = "me/opened/t";
  await server.log(table, [{ n: 1 }]);
  const link = (await server.cli(["open", "--print", table])).trim();
  const context = await browser.chromium.newContext();
  const page = await context.newPage();
  await page.goto(link);
  // A page may ask for a click before it uses the link up.
  const button = page.getByRole("button");
  if (new URL(page.url()).pathname === "/login") await button.first().click();
  await gridOf(page);
  assert.ok(page.url().includes("opened"), page.url());
  await context.close();
});

test("the embed code of a board is a frame that shows it, with its range", async () => {
  assert.ok((await server.ask("PUT", "/api/boards/me/demo/embedded", JSON.stringify({ format: 1, title: "In a frame", panels: [] }))).ok);
  const page = await browser.open(server, "/me/demo/boards/embedded#last=5m");
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: /^Copy embed code/ }).click();
  await page.getByText("The code is copied").waitFor();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  const address = /^<iframe src="([^"]+)" width="100%" height="700"><\/iframe>$/.exec(code)[1].replaceAll("&amp;", "&");
  assert.equal(address, `${server.url}/embed?board=me%2Fdemo%2Fembedded#last=5m`);
  await page.goto(address);
  await page.locator(".embed-name", { hasText: "In a frame" }).waitFor();
  settled(page);
  await page.context().close();
});
