// The pages of runs, of one run, of compared runs, and of artifacts.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before } from "node:test";

import { violations } from "./axe.mjs";
import { screenshot, settled } from "./browser.mjs";
import { until } from "./server.mjs";
import { browser, numbered, PNG, server, testsWithin } from "./setup.mjs";
import { epochs, Training } from "./training.mjs";

const test = testsWithin(60_000);
const WIDE = { viewport: { width: 1440, height: 900 } };
const TABLET = { viewport: { width: 1024, height: 768 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const LONG = "n".repeat(300);
const HTML = "<img src=x onerror=alert(1)>";
/** Right-to-left text with a character that would reorder the text around it. */
const RTL = "תוצאות \u202eאימון";

const digits = new Training(server, "me", "digits");
const odd = new Training(server, "me", "odd");

before(async () => {
  const tags = { baseline: ["baseline"], wide: ["wide", "keep"], broken: [] };
  const rates = { baseline: 3, wide: 5, broken: 1 };
  for (const [name, rate] of Object.entries(rates)) {
    const optimizer = { name: "adam", beta: 0.9 };
    const config = { lr: rate / 100, layers: [64, 32], optimizer, epochs: 120 };
    const origin = { groupName: "mlp", jobType: "train", jobProgram: "train.py", host: "gpu-7", commit: "a1b2c3d" };
    const notes = `Notes on ${name}:\n* ${HTML}`;
    await digits.run(name, { config, displayName: `${name} net`, tags: tags[name], notes, ...origin });
    await digits.history(name, epochs(120, rate));
    await digits.summary(name, { loss: 0.5 / rate, accuracy: 1 - 0.1 / rate, best: { epoch: 10 * rate }, _runtime: 12 });
    await digits.output(name, numbered(1_200, (i) => `2026-03-01T10:00:${String(i % 60).padStart(2, "0")}.000000 epoch ${i} \u001b[32mdone\u001b[0m\n`));
  }
  await digits.machine("wide", numbered(20, (i) => ({ "system.cpu": 40 + i, "system.memory_percent": 10, _timestamp: 1_772_359_200 + 15 * i })));
  await digits.output("broken", [`ERROR 2026-03-01T11:00:00.000000 Traceback ${HTML}\n`], 1_200);
  await server.upload("me/digits/baseline", "media/images/sample.png", PNG);
  await server.upload("me/digits/baseline", "config/params.yaml", `lr: 0.03\n# ${HTML}\n`);
  await server.upload("me/digits/baseline", "model.bin", Buffer.alloc(2_048));
  await server.upload("me/digits/baseline", "wandb-metadata.json", JSON.stringify({ os: "Linux", args: ["--lr", "0.03"] }));
  const metadata = JSON.stringify({ rows: 1_797, source: HTML });
  const data = await digits.artifact("baseline", "dataset", "digits", { "train.csv": "a,b\n1,2\n", "img/0.png": PNG }, { metadata, description: `The digits ${HTML}` });
  await digits.artifact("baseline", "dataset", "digits", { "train.csv": "a,b\n3,4\n" }, { aliases: ["prod"] });
  await digits.artifact("wide", "model", "net", { "model.bin": "weights" });
  await digits.use("wide", data);
  await digits.end("baseline");
  await digits.end("broken", 1);

  await odd.run("odd", { displayName: LONG, config: { [HTML]: HTML, [RTL]: RTL, deep: { "a.b": { c: null } } }, tags: [HTML, RTL], notes: HTML });
  await odd.history("odd", numbered(20, (i) => ({ "a/b/c": i, [RTL]: -i, [HTML]: i * i, "a.b": i / 2, [LONG]: 1 })));
  await odd.summary("odd", `{"acc":NaN,"top":Infinity,"big":9007199254740993,"text":${JSON.stringify(HTML)}}`);
  await odd.run("no-steps");
  await server.log("me/odd/no-steps", numbered(30, (i) => ({ loss: i, mixed: i % 2 ? i : "text", ok: i > 9, inner: { deep: { "x.y": i } } })));
  await odd.run("empty run", { displayName: RTL });
  await odd.end("empty run");
});

const names = (page) => page.locator("table.runs tbody th").allTextContents();
const sortBy = (page, title) => page.locator("table.runs thead").getByRole("button", { name: title }).click();

/** Waits until the first chart is drawn. */
async function drawn(page) {
  await page.locator(".run-chart [data-drawn]").first().waitFor();
}

async function isNotWider(page, what) {
  const wider = await page.evaluate(() =>
    ["html", "main"].map((name) => document.querySelector(name)).map((it) => it.scrollWidth - it.clientWidth),
  );
  assert.deepEqual(wider, [0, 0], what);
}

test("runs are a table with their states, config and summary, sorted and filtered", async () => {
  const page = await browser.open(server, "/me/digits/workspace", WIDE);
  await page.waitForURL("**/me/digits/runs");
  const row = (name) => page.locator("table.runs tbody tr", { hasText: name });
  await row("wide net").getByText("Running").waitFor();
  await row("baseline net").getByText("Finished").waitFor();
  await row("broken net").getByText("Failed").waitFor();
  await sortBy(page, "summary loss");
  assert.deepEqual(await names(page), ["wide net", "baseline net", "broken net"]);
  await sortBy(page, "summary loss");
  assert.deepEqual(await names(page), ["broken net", "baseline net", "wide net"]);
  // Nested keys are columns.
  assert.equal(await page.locator("table.runs thead th", { hasText: "optimizer.name" }).count(), 1);
  await page.getByLabel("Filter the runs").fill("state=fin lr=0.03");
  await until("one run is left", async () => (await names(page)).join() === "baseline net");
  await page.getByText("1 of 3 runs").waitFor();
  // The address has the state of the table.
  await page.reload();
  await until("the filter is kept", async () => (await names(page)).join() === "baseline net");
  await page.getByLabel("Filter the runs").fill("nothing like it");
  await page.getByText("No run matches").waitFor();
  await page.getByRole("button", { name: "Clear the filter" }).click();

  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByLabel("Find a column").fill("lr");
  await page.getByRole("checkbox", { name: "config.lr" }).uncheck();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("table.runs thead th", { hasText: /^configlr$/ }).count(), 0);

  // A change of a run's state is shown without a reload.
  await digits.run("late", { displayName: "late net" });
  await row("late net").getByText("Running").waitFor();
  await digits.end("late");
  await row("late net").getByText("Finished").waitFor();
  settled(page);
  await page.context().close();
});

test("the page of a project leads to its runs and artifacts, and they lead back", async () => {
  const page = await browser.open(server, "/me/digits", WIDE);
  await page.getByRole("link", { name: "Runs" }).click();
  await page.locator("table.runs").getByRole("link", { name: "baseline net" }).click();
  await page.waitForURL("**/me/digits/runs/baseline");
  const trail = page.getByRole("navigation", { name: "Where you are" });
  assert.deepEqual(await trail.getByRole("listitem").allTextContents(), ["me", "digits", "Runs", "baseline"]);
  await trail.getByRole("link", { name: "Runs" }).click();
  await page.locator("table.runs").waitFor();
  await page.getByRole("navigation", { name: "Parts of the project" }).getByRole("link", { name: "Artifacts" }).click();
  await page.getByRole("link", { name: "net", exact: true }).click();
  await page.getByRole("heading", { name: "net:v0" }).waitFor();
  await trail.getByRole("link", { name: "digits" }).click();
  await page.waitForURL("**/me/digits");
  settled(page);
  await page.context().close();
});

test("many runs are on pages, and the count says how many there are", async () => {
  const many = new Training(server, "me", "many");
  for (let i = 0; i < 205; i += 41) {
    await Promise.all(numbered(41, (j) => many.run(`r${i + j}`, { config: { i: i + j } })));
  }
  const page = await browser.open(server, "/me/many/runs#sort=config.i", WIDE);
  await page.getByText("205 runs", { exact: true }).waitFor();
  assert.equal((await names(page)).length, 100);
  const next = page.getByRole("button", { name: "Next page" });
  await next.click();
  await next.click();
  await page.getByText("201–205 of 205").waitFor();
  assert.deepEqual(await names(page), numbered(5, (i) => `r${200 + i}`));
  assert.ok(await next.isDisabled());
  settled(page);
  await page.context().close();
});

test("a run has charts that are smoothed, follow its rows and zoom", async () => {
  const page = await browser.open(server, "/me/digits/runs/wide", WIDE);
  await page.getByRole("heading", { name: "wide net" }).waitFor();
  await drawn(page);
  const titles = await page.locator(".run-chart h2").allTextContents();
  assert.deepEqual(titles, ["loss", "val/loss", "accuracy", "train/lr"]);
  await page.getByLabel("Smoothing").fill("0.9");
  const chart = page.locator("[data-metric=loss] .chart");
  await chart.focus();
  await page.keyboard.press("ArrowLeft");
  const tip = page.getByTestId("tip");
  await tip.getByText("Step 119").waitFor();
  await tip.getByText("smoothed").waitFor();
  await digits.history("wide", [{ loss: 0.125, late: 1 }], 120);
  await until("the new step is drawn", async () => {
    await chart.focus();
    await page.keyboard.press("Escape");
    await page.keyboard.press("ArrowLeft");
    return (await tip.getByText("Step 120").count()) > 0;
  }, 15_000);
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 90);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 90, box.y + 90, { steps: 4 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Show all", exact: true }).click();
  await page.getByLabel("Over").selectOption("time");
  await drawn(page);
  settled(page);
  await page.context().close();
});

test("the addresses that clients print lead to the parts of a run, also after login", async () => {
  const page = await browser.open(server, "/me/digits/runs/baseline/overview", WIDE);
  const facts = page.getByRole("region", { name: "About" });
  await facts.getByText("train.py --lr 0.03").waitFor();
  for (const text of ["Finished", "gpu-7", "a1b2c3d", "mlp"]) await facts.getByText(text, { exact: true }).waitFor();
  assert.equal(await page.locator(".notes").textContent(), `Notes on baseline:\n* ${HTML}`);
  await page.getByLabel("Find in config").fill("beta");
  await page.locator(".run-facts dt", { hasText: "optimizer.beta" }).waitFor();
  const tab = (name) => page.getByRole("navigation", { name: "Parts of the run" }).getByRole("link", { name });
  assert.equal(await tab("Overview").getAttribute("aria-current"), "page");

  await page.goto(`${server.url}/me/digits/runs/baseline/logs`);
  await page.getByText("the last 1 000 of 1 200 lines").waitFor();
  const console = page.getByRole("log");
  await console.getByText("epoch 1199 done", { exact: true }).waitFor();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download all lines" }).click()]);
  assert.equal((await readFile(await saved.path(), "utf8")).split("\n").length, 1_201);

  await tab("Files").click();
  await page.waitForURL("**/runs/baseline/files");
  await page.getByRole("button", { name: "params.yaml" }).click();
  await page.getByRole("dialog").getByText(`# ${HTML}`).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "sample.png" }).click();
  await until("the picture is there", () => page.getByRole("dialog").locator("img").evaluate((it) => it.naturalWidth === 8));
  await page.keyboard.press("Escape");
  const [model] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download model.bin" }).click()]);
  assert.equal((await readFile(await model.path())).length, 2_048);

  await tab("Artifacts").click();
  await page.getByText("Logged: 2 artifacts").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "params.yaml" }).waitFor();
  settled(page);
  await page.goto("about:blank");
  await page.context().clearCookies();
  await page.goto(`${server.url}/me/digits/runs/baseline/logs`);
  await page.getByLabel("API key").fill(server.key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("log").waitFor();
  await page.context().close();
});

test("a run's console output is followed while it is active", async () => {
  const page = await browser.open(server, "/me/digits/runs/wide/logs", WIDE);
  const console = page.getByRole("log");
  await console.getByText("epoch 1199 done").waitFor();
  // A progress bar is written over itself.
  await digits.output("wide", ["2026-03-01T10:00:00.000000 10 %\r20 %\n", "ERROR 2026-03-01T10:00:00.000000 warned\n"], 1_200);
  await console.getByText("20 %", { exact: true }).waitFor();
  assert.ok(await console.getByText("warned").evaluate((it) => it.classList.contains("error")));
  assert.ok(await console.evaluate((it) => it.scrollTop + it.clientHeight >= it.scrollHeight - 8), "it is not at its end");
  settled(page);
  await page.context().close();
});

test("the metrics of a run's machine are charts over time", async () => {
  const page = await browser.open(server, "/me/digits/runs/wide/system", WIDE);
  await page.locator("[data-metric=cpu] [data-drawn]").waitFor();
  assert.deepEqual(await page.locator(".run-chart h2").allTextContents(), ["cpu", "memory_percent"]);
  await page.locator("[data-metric=cpu] .chart").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByTestId("tip").getByText("59", { exact: true }).waitFor();
  settled(page);
  await page.context().close();
});

test("runs are compared in charts and in a table of differences", async () => {
  const page = await browser.open(server, "/me/digits/runs#search=net", WIDE);
  for (const name of ["baseline net", "wide net"]) await page.getByLabel(`Compare ${name}`).check();
  await page.getByRole("button", { name: "Compare 2 runs" }).click();
  await page.waitForURL("**/runs?compare=baseline&compare=wide");
  await drawn(page);
  const table = page.getByRole("region", { name: "Table of differences" });
  const cells = (name) => table.getByRole("row", { name }).getByRole("cell").allTextContents();
  assert.deepEqual(await cells("config lr"), ["0.03", "0.05"]);
  assert.equal(await table.getByRole("row", { name: "config epochs" }).count(), 0);
  await page.getByLabel("Equal values, too").check();
  assert.deepEqual(await cells("config epochs"), ["120", "120"]);
  const legend = page.locator("[data-metric=loss] .chart-legend span");
  assert.deepEqual(await legend.allTextContents(), ["baseline net", "wide net"]);
  await page.locator("[data-metric=accuracy] .chart").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  await page.getByTestId("tip").getByText("run baseline net").waitFor();
  await page.getByLabel("Leave out wide net").click();
  await page.getByText("One run has no differences.").waitFor();
  // Back leads to the table with the same choice.
  await page.goBack();
  await page.goBack();
  await page.getByRole("button", { name: "Compare 2 runs" }).waitFor();
  assert.ok(await page.getByLabel("Compare wide net").isChecked());
  settled(page);
  await page.context().close();
});

test("artifacts are listed with versions, and a version has its files and runs", async () => {
  const page = await browser.open(server, "/me/digits/artifacts", WIDE);
  const datasets = page.locator(".artifact-type", { hasText: "dataset" });
  await datasets.getByText("2 versions").waitFor();
  await datasets.getByText("prod").waitFor();
  await datasets.getByRole("link", { name: "v0" }).click();
  await page.waitForURL("**/artifacts/dataset/digits/v0");
  await page.getByText(`The digits ${HTML}`).waitFor();
  const runs = page.getByRole("region", { name: "Runs" });
  await runs.getByRole("link", { name: "baseline net" }).waitFor();
  await runs.getByRole("link", { name: "wide net" }).waitFor();
  await page.locator(".run-fields").getByText("1797").waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download train.csv" }).click()]);
  assert.equal(await readFile(await file.path(), "utf8"), "a,b\n1,2\n");
  // A link of a client has the part `files`; an alias leads to its version.
  await page.goto(`${server.url}/me/digits/artifacts/dataset/digits/prod/files`);
  await page.getByRole("heading", { name: "digits:v1" }).waitFor();
  await page.goto(`${server.url}/me/digits/artifacts/dataset/digits/v9`);
  await page.getByText("No such artifact").waitFor();
  settled(page);
  await page.context().close();
});

test("what is empty says so, and what does not exist, too", async () => {
  const page = await browser.open(server, "/me/fresh/runs", WIDE);
  await page.getByText("No runs yet").waitFor();
  assert.match(await page.locator("pre").textContent(), /wandb\.init\(entity="me", project="fresh"\)/);
  for (const [path, text] of [
    ["fresh/artifacts", "No artifacts yet"],
    ["fresh/runs/nothing", "No such run"],
    ["fresh/runs?compare=a", "No such runs"],
    ["odd/runs/empty%20run", "No metrics yet"],
    ["odd/runs/empty%20run/logs", "No console output"],
    ["odd/runs/empty%20run/files", "No files"],
    ["odd/runs/empty%20run/artifacts", "No artifacts"],
    ["odd/runs/empty%20run/system", "No system metrics"],
  ]) {
    await page.goto(`${server.url}/me/${path}`);
    await page.getByRole("heading", { name: text }).waitFor();
  }
  // A table that no run has is still opened by such an address.
  await server.log("me/fresh/plain", [{ n: 1 }]);
  await page.goto(`${server.url}/me/fresh/runs/plain`);
  await page.waitForURL("**/?exp=*");
  settled(page);
  await page.context().close();
});

test("unusual names and values are texts", async () => {
  const page = await browser.open(server, "/me/odd/runs", WIDE);
  const table = page.locator("table.runs");
  await table.locator("tbody th", { hasText: LONG }).waitFor();
  assert.ok((await table.locator("tbody th", { hasText: LONG }).evaluate((it) => it.clientWidth)) < 300);
  assert.ok((await table.locator("td").allTextContents()).includes(HTML));
  for (const text of ["NaN", "9007199254740993"]) assert.ok((await table.locator("td").allTextContents()).includes(text), text);
  await page.getByText("⟨U+202E⟩").first().waitFor();
  await page.goto(`${server.url}/me/odd/runs/odd`);
  await drawn(page);
  const titles = await page.locator(".run-chart h2").allTextContents();
  for (const title of ["a/b/c", "a.b", HTML, LONG]) assert.ok(titles.includes(title), title);
  // Rows without steps are drawn over their numbers; numbers in nested objects and mixed columns have charts, too.
  await page.goto(`${server.url}/me/odd/runs/no-steps`);
  await drawn(page);
  assert.deepEqual(await page.locator(".run-chart h2").allTextContents(), ["loss", "inner.deep.x.y", "mixed", "ok"]);
  for (const [metric, value] of [["inner.deep.x.y", "29"], ["mixed", "29"], ["ok", "1"]]) {
    await page.locator(`[data-metric="${metric}"] [data-drawn]`).waitFor();
    await page.locator(`[data-metric="${metric}"] .chart`).focus();
    await page.keyboard.press("ArrowLeft");
    await page.getByTestId("tip").getByText("Step 29").waitFor();
    await page.getByTestId("tip").getByText(value, { exact: true }).waitFor();
  }
  await page.goto(`${server.url}/me/odd/runs/odd/overview`);
  await page.locator(".run-facts dd", { hasText: HTML }).first().waitFor();
  await page.getByText("∞").waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0);
  settled(page);
  await page.context().close();
});

test("long names do not widen the page of a phone", async () => {
  const [type, name] = [`type ${"t".repeat(100)}`, "a".repeat(100)];
  await odd.artifact("odd", type, name, { [`${"p".repeat(120)}.csv`]: "1" }, { aliases: ["l".repeat(80)], description: LONG });
  await server.upload("me/odd/odd", `${"d".repeat(100)}/${"f".repeat(100)}.txt`, "text");
  await odd.output("odd", [`${LONG}${LONG}\n`]);
  const page = await browser.open(server, "/me/odd/runs", PHONE);
  for (const path of ["runs", "runs/odd", "runs/odd/overview", "runs/odd/logs", "runs/odd/files", "runs/odd/artifacts", "runs?compare=odd", "artifacts", `artifacts/${encodeURIComponent(type)}/${name}/v0`]) {
    await page.goto(`${server.url}/me/odd/${path}`);
    await page.locator("main :is(table, dl, pre, .run-chart, .file)").first().waitFor();
    await isNotWider(page, path);
  }
  settled(page);
  await page.context().close();
});

const PAGES = {
  runs: ["/me/digits/runs", (page) => page.getByText("baseline net").waitFor()],
  run: ["/me/digits/runs/baseline", drawn],
  overview: ["/me/digits/runs/baseline/overview", (page) => page.getByText("train.py --lr 0.03").waitFor()],
  system: ["/me/digits/runs/wide/system", drawn],
  console: ["/me/digits/runs/broken/logs", (page) => page.getByText("Traceback").waitFor()],
  files: ["/me/digits/runs/baseline/files", (page) => page.getByText("model.bin").waitFor()],
  "run-artifacts": ["/me/digits/runs/wide/artifacts", (page) => page.getByText("Used: 1 artifact").waitFor()],
  compare: ["/me/digits/runs?compare=baseline&compare=wide&compare=broken", drawn],
  artifacts: ["/me/digits/artifacts", (page) => page.getByText("prod").waitFor()],
  artifact: ["/me/digits/artifacts/dataset/digits/v0", (page) => page.getByRole("link", { name: "wide net" }).waitFor()],
};

/** The screens on which the pages are looked at, and where the rules are checked: all have the same colours. */
const SCREENS = { wide: [WIDE, Object.keys(PAGES)], "phone-dark": [{ ...PHONE, colorScheme: "dark" }, ["runs", "console", "compare"]] };
if (process.env.ALL_SCREENS) {
  Object.assign(SCREENS, { "wide-dark": [{ ...WIDE, colorScheme: "dark" }, []], tablet: [TABLET, []], phone: [PHONE, []] });
}

test("the pages satisfy WCAG AA and fit the screen, wide and narrow, light and dark", async () => {
  await Promise.all(Object.entries(SCREENS).map(([name, [options, checked]]) => looksRight(name, options, checked)));
});

async function looksRight(name, options, checked) {
  const page = await browser.open(server, "/me/digits/runs", options);
  for (const [kind, [path, reach]] of Object.entries(PAGES)) {
    await page.goto(server.url + path);
    await reach(page);
    if (checked.includes(kind)) assert.deepEqual(await violations(page), [], `${kind} ${name}`);
    await isNotWider(page, `${kind} ${name}`);
    await screenshot(page, `runs-${kind}-${name}`);
  }
  settled(page);
  await page.context().close();
}
