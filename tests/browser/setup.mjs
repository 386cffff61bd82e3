// Shared by the files of tests: a server and a browser that live as long as the file, and test data.
//
// Node runs each file in a process of its own, so each has its own server.

import { after, test } from "node:test";

import { Browser } from "./browser.mjs";
import { Server } from "./server.mjs";

// Not in a `before`: those of the file that imports this would not wait for it.
export const browser = await Browser.start();
after(() => browser.stop());

export const server = await Server.start();
after(() => server.stop());

/** Returns a function that defines tests with a limit of time, in milliseconds. */
export const testsWithin = (timeout) => (name, run) => test(name, { timeout }, run);

/** Returns `count` rows, each made from its number. */
export const numbered = (count, row) => Array.from({ length: count }, (_, i) => row(i));

/** An 8 by 8 picture. */
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC",
  "base64",
);
