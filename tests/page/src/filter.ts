/** Long logs of which only some streams are shown. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** 20,000 lines, each hundredth of stderr, in about this order: they come through two pipes. */
const SCRIPT =
  "n=1; while [ $n -le 20000 ]; do if [ $((n % 100)) = 0 ]; then echo $n >&2; else echo $n; fi; n=$((n + 1)); done";

/** Lines that may be between two of stderr. */
const NEAR = 1_500;

/** What a worker of this name has written, each number in its own line. */
async function mixed(page: Page, worker: string, rest: string): Promise<LogPage> {
  const server = await ingest();
  await server.ran("filter", worker, SCRIPT);
  const log = await LogPage.open(page, server, worker, rest);
  await log.shows("a chosen line", (rows) => rows.some(({ classes }) => classes.includes("log-selected")));
  return log;
}

sees("who hides a stream stays where he was, and comes back to it", async ({ page }) => {
  const log = await mixed(page, "filter-place", "#L12345");
  const near = (line: number, most: number) =>
    log.shows(`lines near ${line}`, (rows) => {
      const [first] = rows;
      return first !== undefined && first.text !== "…" && Math.abs(first.sequence - line) <= most;
    });
  await near(12_345, 60);
  const [top = 0] = await log.sequences();
  await log.press("1");
  await log.shows("stderr alone", (rows) => rows.length > 1 && rows.every(({ stream }) => stream === "err"));
  await near(top, NEAR);
  await log.press("1");
  await log.shows("stdout again", (rows) => rows.some(({ stream }) => stream === ""));
  await near(top, NEAR);
});

sees("a link to a line of a hidden stream shows that stream, and a search keeps to those shown", async ({ page }) => {
  const log = await mixed(page, "filter-link", "#L15000");
  await log.press("1");
  await log.shows("stderr alone", (rows) => rows.length > 1 && rows.every(({ stream }) => stream === "err"));
  await log.press("/");
  await page.keyboard.type("77");
  await until(
    "the count of matches",
    () => log.part("find-count").innerText(),
    (seen) => /^\d+ of \d+$/.test(seen),
  );
  await log.press("Enter", "Enter", "Escape");
  await log.isPressed("stream-stdout", false);
  const rows = await log.rows();
  assert.ok(
    rows.every(({ stream }) => stream === "err"),
    "matches of other streams are passed over",
  );
  await page.evaluate(() => {
    location.hash = location.hash.replace(/#L.*|\?.*/, "") + "#L4321";
  });
  await log.showsLine(4_321);
  await log.isPressed("stream-stdout");
  await log.isPressed("stream-stderr");
});
