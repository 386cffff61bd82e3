// The rules of WCAG 2.2 AA, checked by axe.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Returns the rules that a page violates, with the first element of each. */
export async function violations(page) {
  await page.evaluate(axe);
  return page.evaluate(async (RULES) => {
    const { violations } = await axe.run(document, { runOnly: { type: "tag", values: RULES } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].target.flat().join(" ")} ${nodes[0].failureSummary.split("\n")[1]?.trim()}`);
  }, RULES);
}
