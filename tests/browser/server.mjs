// A real server with its own home folder, and helpers that use it.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.STREAMTABLE ?? "streamtable";

/** A `streamtable serve` in a new folder; it can be killed and started again. */
export class Server {
  #process = null;

  static async start() {
    const server = new Server();
    server.home = await mkdtemp(join(tmpdir(), "streamtable-browser-"));
    server.data = join(server.home, "data");
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    await server.run();
    return server;
  }

  /** Starts the process, and waits until it answers. */
  async run() {
    const args = ["serve", "--data", this.data, "--addr", `127.0.0.1:${this.port}`, "--entity", "me"];
    this.#process = spawn(BINARY, args, { env: this.#env(), stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    this.#process.stderr.on("data", (text) => (said += text));
    const ended = new Promise((_, reject) => {
      this.#process.once("error", reject);
      this.#process.once("exit", (code) => reject(new Error(`the server ended (${code}): ${said}`)));
    });
    ended.catch(() => undefined);
    const answers = async () => (await fetch(`${this.url}/healthz`).catch(() => null))?.ok === true;
    await Promise.race([until("the server answers", answers, 30_000), ended]);
    this.key ??= /password (\S+)/.exec(await readFile(join(this.home, ".netrc"), "utf8"))[1];
  }

  /** Kills the process. */
  async kill() {
    await this.#end("SIGKILL");
  }

  async stop() {
    await this.#end("SIGTERM");
    await rm(this.home, { recursive: true, force: true });
  }

  async #end(signal) {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(signal);
    await ended;
  }

  #env() {
    const { PATH } = process.env;
    return { PATH, HOME: this.home, WANDB_BASE_URL: this.url, NETRC: join(this.home, ".netrc") };
  }

  /** Starts a program that finds this server; the command itself by default. */
  spawn(args, program = BINARY, env = {}) {
    return spawn(program, args, { env: { ...this.#env(), ...env } });
  }

  /** Runs the command against this server, and returns its standard output. */
  async cli(args, input = "") {
    return (await ended(this.spawn(args), `streamtable ${args.join(" ")}`, input)).out;
  }

  /** Runs the command as `cli` does, and returns its standard error. */
  async said(args, input = "") {
    return (await ended(this.spawn(args), `streamtable ${args.join(" ")}`, input)).err;
  }

  /** Runs a Python program in one of the environments of the real clients. */
  async python(venv, script, args) {
    const { STREAMTABLE_CLIENTS: venvs } = process.env;
    if (!venvs) throw new Error("`cargo xtask browser` provides the real clients");
    // It finds the key in netrc, where the first start of the server put it.
    const env = { NO_PROXY: "127.0.0.1", WANDB_SILENT: "false" };
    const child = this.spawn([script, ...args], join(venvs, venv, "bin/python"), env);
    const { out, err } = await ended(child, script);
    return out + err;
  }

  /** Uploads a file of a table, as clients do for media cells. */
  async upload(table, name, bytes) {
    const [entity, project, run] = table.split("/");
    const query = `mutation F($e: String!, $p: String!, $r: String!, $files: [String!]!) {
      createRunFiles(input: {entityName: $e, projectName: $p, runName: $r, files: $files}) {
        files { uploadUrl } } }`;
    const variables = { e: entity, p: project, r: run, files: [name] };
    const answer = await this.ask("POST", "/graphql", JSON.stringify({ query, variables }));
    const url = (await answer.json()).data.createRunFiles.files[0].uploadUrl;
    const stored = await fetch(url, { method: "PUT", body: bytes });
    if (!stored.ok) throw new Error(`${name}: ${stored.status} ${await stored.text()}`);
  }

  async ask(method, path, body, key = this.key) {
    const headers = { authorization: `Bearer ${key}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(this.url + path, { method, headers, body });
    return answer;
  }

  /** Logs rows into a table. */
  async log(table, rows, key = this.key) {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/x-ndjson" };
    const body = rows.map((row) => JSON.stringify(row)).join("\n");
    const path = `/api/tables/${table}/rows`;
    const answer = await fetch(this.url + path, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Makes a key for one entity. */
  async addKey(entity, right) {
    const body = JSON.stringify({ name: `${entity}-${right}`, entity, right });
    const answer = await this.ask("POST", "/api/keys", body);
    return (await answer.json()).key;
  }

  /** The link of a table, as the seed and its clients write it. */
  link(table) {
    const name = encodeURIComponent(table);
    return `/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2F${name}%3Alatest%2Fobj%22%29%0A++.rows`;
  }
}

/** Waits until a program succeeds, and returns its output. */
async function ended(child, what, input = "") {
  child.stdin.end(input);
  const said = { out: "", err: "" };
  child.stdout.on("data", (text) => (said.out += text));
  child.stderr.on("data", (text) => (said.err += text));
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${said.out}${said.err}`);
  return said;
}

/** Waits until a condition holds, and returns its value. */
export async function until(what, holds, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`after ${limit} ms it is not so that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
