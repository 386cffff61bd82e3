// What the board's page takes in time and memory: measured and printed, never judged.
//
// `cargo xtask browser --measure` starts it; `--help` says what it takes. Server and browser share
// this machine, so whatever else runs on it shows in the figures: the load is printed with them.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { Browser, gridOf, restore } from "./browser.mjs";
import { Server, until } from "./server.mjs";

const HELP = `Measures the board's page in headless Chromium and prints tables in Markdown.

Options:
  --only NAMES   some of live, load, large, with commas between them
  --rows N       rows of the large table                 [default: 10000000]
  --seconds S    how long rows come at 20,000 a second   [default: 60]
`;

/** How many rows are there before the page: enough to fill it. */
const FIRST = 100;

/** How often rows are handed to the client. */
const TICK_MS = 10;

/** How often each question is asked. */
const TIMES = 5;

const { values: options } = parseArgs({
  options: {
    help: { type: "boolean" },
    only: { type: "string", default: "live,load,large" },
    rows: { type: "string", default: "10000000" },
    seconds: { type: "string", default: "60" },
  },
});

const MEASURES = {
  live: (bench) => streamed(bench, { rate: 1_000, seconds: 20 }),
  load: (bench) => streamed(bench, { rate: 20_000, seconds: Number(options.seconds) }),
  large: (bench) => large(bench, Number(options.rows)),
};

async function main(names) {
  const unknown = names.find((name) => !(name in MEASURES));
  if (unknown) throw new Error(`nothing is called ${unknown}; there are ${Object.keys(MEASURES).join(", ")}`);
  for (const name of names) {
    const [server, browser] = await Promise.all([Server.start(), Browser.start()]);
    try {
      await MEASURES[name]({ server, browser });
    } finally {
      await browser.stop();
      await server.stop();
    }
  }
}

/** Rows come by the command's client, through a pipe, while the page follows the newest. */
async function streamed({ server, browser }, { rate, seconds }) {
  const table = "me/measure/live";
  const writer = new Writer(server, table, rate);
  writer.first();
  const isThere = async () => (await server.ask("GET", `/api/tables/${table}`)).ok;
  await until("the table is there", isThere, 30_000);
  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.getByLabel("Follow newest rows").click();
  await page.evaluate(watch, "n");
  const memory = [await memoryOf(browser, page)];
  const every = Math.max(5, seconds / 10);
  for (let at = 0; at < seconds; at += every) {
    await writer.run(Math.min(every, seconds - at));
    memory.push(await memoryOf(browser, page));
  }
  const sent = await writer.end();
  const newest = () => page.evaluate(() => globalThis.watched.newest);
  await until("the last row is shown", async () => (await newest()) >= sent.length - 1, 30_000);
  const watched = await page.evaluate(() => globalThis.watched);
  const took = latencies(sent, watched.looks).sort((a, b) => a - b);
  const per = sent.length / seconds;
  heading(`${rate.toLocaleString("en")} rows a second for ${seconds} s, the page follows them`);
  row("rows", `${sent.length}, ${Math.round(per)} a second`);
  row("row logged → row shown, p50 / p99 / most", `${at(took, 0.5)} / ${at(took, 0.99)} / ${at(took, 1)} ms`);
  stalls(watched.lags);
  row("renderer's memory (RSS), MiB", memory.map((it) => it.rss).join(" "));
  row("page's heap, MiB", memory.map((it) => it.heap).join(" "));
  row("errors of the page", page.problems.length);
  await page.context().close();
}

/** Questions to a table of many rows. */
async function large({ server, browser }, rows) {
  const table = "me/measure/large";
  const start = performance.now();
  await fill(server, table, rows);
  const filled = (performance.now() - start) / 1000;
  heading(`${rows.toLocaleString("en")} rows, which came in ${filled.toFixed(0)} s`);
  await opening(browser, server, "the table's page", server.link(table), 0);
  const board = await (await server.ask("GET", `/api/tables/${table}/board?template=overview`)).json();
  const saved = await server.ask("PUT", "/api/boards/me/measure/first", JSON.stringify(board));
  if (!saved.ok) throw new Error(`the board: ${saved.status} ${await saved.text()}`);
  const count = board.panels.length;
  await opening(browser, server, `its first board, ${count} panels`, "/me/measure/boards/first", count);

  const page = await browser.open(server, server.link(table));
  await gridOf(page);
  await page.evaluate(watch, "n");
  const plain = { plugin: "Datagrid", sort: [], filter: [], group_by: [], split_by: [], expressions: {} };
  const view = { columns: ["n", "loss", "tokens", "run", "host", "prompt", "ok"], aggregates: {} };
  const sums = { columns: ["loss", "tokens"], aggregates: { loss: "avg", tokens: "sum" } };
  const second = { second: "date_trunc('second', \"timestamp\")" };
  const questions = {
    "sort by a float": { sort: [["loss", "desc"]] },
    "sort by a text": { sort: [["prompt", "asc"]] },
    "filter by a number": { filter: [["loss", ">", 0.9]] },
    "filter by a text": { filter: [["prompt", "contains", "session 7"]] },
    "filter and sort": { filter: [["run", "==", "run-07"]], sort: [["loss", "desc"]] },
    "group by 40": { group_by: ["run"], ...sums },
    "group by 4,096": { group_by: ["host"], ...sums },
    "pivot, 40 by 2": { group_by: ["run"], split_by: ["ok"], ...sums },
    "bars, 40 groups": { plugin: "Y Bar", group_by: ["run"], ...sums },
    "lines over time": { plugin: "Y Line", group_by: ["second"], expressions: second, ...sums },
    "heatmap, 40 by 2": { plugin: "Heatmap", group_by: ["run"], split_by: ["ok"], ...sums, columns: ["tokens"] },
  };
  for (const [name, question] of Object.entries(questions)) {
    const times = [];
    let stall = 0;
    for (let i = 0; i < TIMES; i++) {
      await restore(page, { ...plain, ...view });
      await page.evaluate(() => (globalThis.watched.lags.length = 0));
      times.push(await timed(page, { ...plain, ...view, ...question }));
      stall = Math.max(stall, ...(await page.evaluate(() => globalThis.watched.lags)));
    }
    const [first, ...warm] = times;
    warm.sort((a, b) => a - b);
    const figures = `first ${first} ms, warm ${at(warm, 0)} – ${at(warm, 1)} ms`;
    row(name, `${figures}; longest stall of the page ${Math.round(stall)} ms`);
  }
  await restore(page, { ...plain, ...view });
  for (const share of [0.5, 1, 0.25]) {
    row(`unsorted, scrolled to ${share * 100} %`, `${await jump(page, share)} ms`);
  }
  await restore(page, { ...plain, ...view, sort: [["loss", "desc"]] });
  for (const share of [0.5, 0.75]) {
    row(`sorted by a float, scrolled to ${share * 100} %`, `${await jump(page, share)} ms`);
  }
  await restore(page, { ...plain, ...view, filter: [["loss", ">", 0.9]] });
  for (const share of [0.5, 1]) {
    row(`filtered by a number, scrolled to ${share * 100} %`, `${await jump(page, share)} ms`);
  }
  const { rss, heap } = await memoryOf(browser, page);
  row("renderer's memory (RSS); page's heap", `${rss} MiB; ${heap} MiB`);
  row("errors of the page", page.problems.length);
  await page.context().close();
}

/** Opens a page with an empty cache, and again; prints when it painted, and when all on the screen was drawn. */
async function opening(browser, server, name, path, panels) {
  const page = await browser.open(server, path);
  const figures = [await page.evaluate(drawn, panels)];
  for (let i = 1; i < TIMES; i++) {
    await page.reload();
    figures.push(await page.evaluate(drawn, panels));
  }
  const [first, ...warm] = figures;
  const of = (key) => warm.map((it) => it[key]).sort((a, b) => a - b);
  const range = (key) => `${first[key]} ms, again ${at(of(key), 0)} – ${at(of(key), 1)} ms`;
  row(`${name}: first paint`, `first ${range("painted")}`);
  row(`${name}: what is on the screen`, `first ${range("drawn")}`);
  await page.context().close();
}

/**
 * In the page: waits until it has that number of panels and all viewers on the screen have drawn. Returns
 * the time since the navigation in ms.
 */
async function drawn(panels) {
  const parts = "tbody td, canvas";
  const has = (viewer) =>
    [...viewer.querySelectorAll("*")].some((it) => it.matches(parts) || it.shadowRoot?.querySelector(parts));
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const until = async (ready, what) => {
    while (!ready()) {
      if (performance.now() > 60_000) throw new Error(what());
      await frame();
    }
  };
  const isSeen = (viewer) => viewer.getBoundingClientRect().top < innerHeight;
  const viewers = () => [...document.querySelectorAll("perspective-viewer")].filter(isSeen);
  const isWhole = () => document.querySelectorAll("[data-panel]").length === panels;
  const isDrawn = () => isWhole() && viewers().length > 0 && viewers().every(has);
  await until(isDrawn, () => `${viewers().filter(has).length} of ${viewers().length} panels have drawn`);
  await Promise.all(viewers().map((viewer) => viewer.flush()));
  await frame();
  const drawn = Math.round(performance.now());
  const paint = () => performance.getEntriesByName("first-contentful-paint")[0];
  await until(paint, () => "the page has not painted");
  return { painted: Math.round(paint().startTime), drawn };
}

/** Hands rows to `streamtable log` as a program does that logs them one by one. */
class Writer {
  #n = 0;
  #sent = [];

  constructor(server, table, rate) {
    this.perTick = Math.max(1, Math.round((rate * TICK_MS) / 1000));
    this.rate = rate;
    this.child = server.spawn(["log", "--quiet", table]);
  }

  first() {
    this.#write(FIRST);
  }

  /** Writes rows at the rate, as far as the pipe takes them. */
  async run(seconds) {
    const start = performance.now();
    const before = this.#n;
    while (performance.now() - start < seconds * 1000) {
      const due = before + Math.floor(((performance.now() - start) * this.rate) / 1000);
      const isTaken = due > this.#n ? this.#write(due - this.#n) : true;
      if (!isTaken) await new Promise((resolve) => this.child.stdin.once("drain", resolve));
      await sleep(TICK_MS);
    }
  }

  #write(count) {
    const now = Date.now();
    let lines = "";
    for (let i = 0; i < count; i++, this.#n++) {
      this.#sent.push(now);
      lines += line(this.#n);
    }
    return this.child.stdin.write(lines);
  }

  /** Closes the pipe; returns when each row was written. */
  async end() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    const code = await ended;
    if (code !== 0) throw new Error(`streamtable log ended with ${code}`);
    return this.#sent;
  }
}

/** A row of seven columns, 140 bytes as JSON; always the same one for a number. */
function line(n) {
  const mix = Math.imul(n ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  const [loss, tokens] = [(mix % 1_000_000) / 1e6, (mix >>> 7) % 65_536];
  const [run, host, session] = [(mix >>> 3) % 40, (mix >>> 5) % 4096, (mix >>> 2) % 1_000_000];
  return (
    `{"n":${n},"loss":${loss},"tokens":${tokens},"run":"run-${String(run).padStart(2, "0")}",` +
    `"host":"worker-${host}.local","prompt":"request ${n} of session ${session}","ok":${mix % 13 !== 0}}\n`
  );
}

/** Logs many rows at once. */
async function fill(server, table, rows) {
  const perPost = 50_000;
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/x-ndjson" };
  let posted = Promise.resolve();
  for (let n = 0; n < rows; n += perPost) {
    const lines = Array.from({ length: Math.min(perPost, rows - n) }, (_, i) => line(n + i));
    const body = lines.join("");
    await posted;
    posted = fetch(`${server.url}/api/tables/${table}/rows`, { method: "POST", headers, body });
    posted = posted.then(async (answer) => {
      if (!answer.ok) throw new Error(`rows: ${answer.status} ${await answer.text()}`);
      await answer.text();
    });
  }
  await posted;
}

/**
 * In the page: notes when which number of a column was first seen, and how late timers are, which is
 * how long the page could not have answered.
 */
function watch(column) {
  const watched = { newest: -1, looks: [], lags: [] };
  globalThis.watched = watched;
  const look = () => {
    const grid = document.querySelector("perspective-viewer-datagrid")?.regular_table;
    let newest = watched.newest;
    for (const cell of grid?.querySelectorAll("tbody tr:last-child td") ?? []) {
      const meta = grid.getMeta(cell);
      if (meta?.column_header?.at(-1) === column && meta.user > newest) newest = meta.user;
    }
    if (newest > watched.newest) {
      watched.newest = newest;
      watched.looks.push([Date.now(), newest]);
    }
    requestAnimationFrame(look);
  };
  look();
  const pause = 10;
  let due = performance.now() + pause;
  const tick = () => {
    watched.lags.push(Math.max(0, performance.now() - due));
    due = performance.now() + pause;
    setTimeout(tick, pause);
  };
  setTimeout(tick, pause);
}

/** For each row behind the first ones, how long after it was sent a look found it or a later one. */
function latencies(sent, looks) {
  const took = [];
  let row = FIRST;
  for (const [time, newest] of looks) {
    for (; row <= newest; row++) took.push(time - sent[row]);
  }
  return took;
}

/** Shows something else; returns how long it took until it was drawn. */
function timed(page, config) {
  return page.evaluate(async (config) => {
    const start = performance.now();
    await document.querySelector("perspective-viewer").restore(config);
    await new Promise((resolve) => requestAnimationFrame(resolve));
    return Math.round(performance.now() - start);
  }, config);
}

/** Scrolls the grid as its scroll bar does; returns how long it took until rows of there are shown. */
function jump(page, share) {
  return page.evaluate(async (share) => {
    const grid = document.querySelector("perspective-viewer-datagrid").regular_table;
    const rows = await (await document.querySelector("perspective-viewer").getView()).num_rows();
    const first = () => {
      const cell = grid.querySelector("tbody td");
      return { cell, y: grid.getMeta(cell)?.y ?? 0 };
    };
    const start = performance.now();
    grid.scrollTop = (grid.scrollHeight - grid.clientHeight) * share;
    for (;;) {
      const { cell, y } = first();
      const isThere = Math.abs(y - rows * share) < 200 && cell.textContent !== "";
      if (isThere) return Math.round(performance.now() - start);
      if (performance.now() - start > 60_000) throw new Error(`the grid is at row ${y} of ${rows}`);
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }, share);
}

/** The memory of the page: of its process, and of its scripts, in MiB. */
async function memoryOf(browser, page) {
  const session = await browser.chromium.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const ids = processInfo.filter((it) => it.type === "renderer").map((it) => it.id);
  const sizes = await Promise.all(ids.map(residentOf));
  const own = await page.context().newCDPSession(page);
  await own.send("Performance.enable");
  const { metrics } = await own.send("Performance.getMetrics");
  await own.detach();
  const heap = metrics.find((it) => it.name === "JSHeapUsedSize")?.value ?? 0;
  // One is kept in reserve; the page's is the larger.
  return { rss: Math.max(...sizes), heap: Math.round(heap / (1 << 20)) };
}

async function residentOf(id) {
  const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

function stalls(lags) {
  const sorted = [...lags].sort((a, b) => a - b).map(Math.round);
  row("timers late, p50 / p99 / most", `${at(sorted, 0.5)} / ${at(sorted, 0.99)} / ${at(sorted, 1)} ms`);
}

function at(sorted, share) {
  return sorted[Math.floor((sorted.length - 1) * share)];
}

function heading(text) {
  const load = loadavg().map((it) => it.toFixed(1)).join(" ");
  console.log(`\n## ${text}\n\nLoad of the machine: ${load}\n\n| | |\n| --- | --- |`);
}

function row(name, value) {
  console.log(`| ${name} | ${value} |`);
}

if (options.help) {
  process.stdout.write(HELP);
} else {
  await main(options.only.split(","));
}
