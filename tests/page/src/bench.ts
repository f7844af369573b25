/**
 * What `just bench --only page` measures in a real browser. Prints every sample as JSON, in milliseconds; what they
 * come to, and beside which limit, is for the bench to say.
 *
 *   node bench.js log URL WORKER SCREENS JUMPS FRAMES    opening it, going to lines of it, scrolling through it
 *   node bench.js live URL WORKER SECONDS                from a line's own clock reading to the document
 *   node bench.js keys URL WORKER PRESSES                how soon keys are heard while lines come
 */

import type { Browser } from "playwright-core";
import { keys } from "./bench/keys.js";
import { live } from "./bench/live.js";
import { log } from "./bench/log.js";
import { launch } from "./chromium.js";

/** Of each kind of measurement, what it is given: the page's address, the worker, numbers. */
const KINDS: Record<string, (browser: Browser, url: string, worker: string, numbers: number[]) => Promise<unknown>> = {
  log,
  live,
  keys,
};

const [kind = "", url, worker, ...numbers] = process.argv.slice(2);
const measure = KINDS[kind];
if (!measure || !url || !worker) throw new Error("usage: bench.js log|live|keys URL WORKER NUMBER…");
const browser = await launch();
try {
  const measured = await measure(browser, url, worker, numbers.map(Number));
  process.stdout.write(`${JSON.stringify(measured)}\n`);
} finally {
  await browser.close();
}
