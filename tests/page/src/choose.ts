/** Choosing lines: links to them, and copies of them. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

const WITH_CLIPBOARD = { permissions: ["clipboard-read", "clipboard-write"] };

const clipboard = (page: Page) => page.evaluate(() => navigator.clipboard.readText());

async function copied(page: Page, text: string): Promise<void> {
  await until(
    "the clipboard",
    () => clipboard(page),
    (seen) => seen.replaceAll("\r", "") === text,
  );
}

sees(
  "a press on a number links to the line, another with Shift to the range, and one more press copies the link",
  async ({ page, context }) => {
    const server = await ingest();
    await server.ran("choose", "choose-link", "seq 1 300");
    const log = await LogPage.open(page, server, "choose-link");
    await log.press("g");
    await log.showsLine(5, "5");
    await log.row(5).locator(".log-number").click();
    await page.waitForURL(/line=5$/);
    await log
      .row(9)
      .locator(".log-number")
      .click({ modifiers: ["Shift"] });
    await page.waitForURL(/line=5-9$/);
    await log.part("copy-link").click();
    await copied(page, server.url("/#/workers/choose-link#L5-L9"));
    const other = await context.newPage();
    await other.goto(await clipboard(page));
    const there = new LogPage(other);
    const rows = await there.shows("line 9", (rows) => rows.some((row) => row.text === "9"));
    const marked = rows.filter((row) => row.classes.includes("log-selected")).map((row) => row.sequence);
    assert.deepEqual(marked, [5, 6, 7, 8, 9]);
  },
  WITH_CLIPBOARD,
);

sees(
  "chosen lines are copied by a key, as the command wrote them",
  async ({ page }) => {
    const server = await ingest();
    const script = String.raw`printf 'one\n\033[31mtwo\033[0m\n<three>\nfour\n'`;
    await server.ran("choose", "choose-text", script);
    const log = await LogPage.open(page, server, "choose-text");
    await log.showsLine(1, "one");
    await log.press("g", "j", "J", "J");
    await page.waitForURL(/line=1-3$/);
    await log.press("c");
    await page.getByText("3 lines copied").waitFor();
    await copied(page, "one\ntwo\n<three>\n");
    await log.press("y");
    await copied(page, server.url("/#/workers/choose-text#L1-L3"));
    await log.press("Escape");
    await page.waitForURL(/choose-text$/);
  },
  WITH_CLIPBOARD,
);

sees(
  "a selection with the mouse is copied without numbers, times and streams",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("choose", "choose-mouse", "echo alpha; echo beta >&2; echo gamma");
    const log = await LogPage.open(page, server, "choose-mouse");
    await log.showsLine(3);
    const [from, to] = [await log.text(1).boundingBox(), await log.text(3).boundingBox()];
    assert.ok(from && to);
    await page.mouse.move(from.x + 1, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + 200, to.y + to.height / 2, { steps: 8 });
    await page.mouse.up();
    await page.keyboard.press("Control+c");
    const text = await until(
      "the clipboard",
      () => clipboard(page),
      (seen) => seen.includes("gamma"),
    );
    assert.deepEqual(text.trim().split(/\r?\n/).sort(), ["alpha", "beta", "gamma"]);
  },
  WITH_CLIPBOARD,
);

sees("the whole log is downloaded as the command wrote it", async ({ page }) => {
  const server = await ingest();
  await server.ran("choose", "choose-download", "seq 1 20000; printf 'no newline'");
  const log = await LogPage.open(page, server, "choose-download");
  const [download] = await Promise.all([page.waitForEvent("download"), log.part("download").click()]);
  const stream = await download.createReadStream();
  const text = (await stream.toArray()).join("");
  const expected = `${Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join("")}no newline`;
  assert.ok(text === expected, `${text.length} characters, ending in ${JSON.stringify(text.slice(-30))}`);
  assert.match(download.suggestedFilename(), /^choose-download\./);
});
