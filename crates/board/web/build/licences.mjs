// Collects the licences of the page's parts.

import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Packages that are shipped in the page; the others only build it. */
const SHIPPED = ["echarts", "marked", "preact", "tslib", "zrender"];

export async function licences(web, wheel) {
  const parts = ["The board is made of its own code, MIT OR Apache-2.0, and of:\n"];
  for (const name of SHIPPED) {
    const folder = join(web, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((it) => /^licen[cs]e/i.test(it));
    parts.push(section(`${name} ${version}, ${license}`, await readFile(join(folder, file), "utf8")));
  }
  const folder = (await readdir(wheel)).find((it) => it.endsWith(".dist-info"));
  const perspective = join(wheel, folder, "licenses");
  const title = `${folder.replace("_python-", " ").replace(".dist-info", "")}, Apache-2.0`;
  parts.push(section(title, await readFile(join(perspective, "LICENSE.md"), "utf8")));
  const others = await readFile(join(perspective, "LICENSE_THIRDPARTY_cargo.yml"), "utf8");
  parts.push(section("what Perspective is made of", others));
  return parts.join("\n");
}

function section(title, text) {
  return `${"=".repeat(80)}\n${title}\n${"=".repeat(80)}\n\n${text.trim()}\n`;
}
