/** Where a log opens, and the way to a line of it. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";

sees("a log that is running opens at its end and follows", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("opening", "opening-running");
  agent.does("seq 1 500");
  await agent.sent(500);
  const log = await LogPage.open(page, server, "opening-running");
  await log.showsLine(500, "500");
  await log.isPressed("follow");
  agent.does("seq 501 600");
  await log.showsLine(600, "600");
  await agent.done();
});

sees("a log that failed opens at its first failure", async ({ page }) => {
  const server = await ingest();
  const script = "seq 1 400; echo 'error: it broke'; seq 402 900; exit 3";
  assert.equal((await server.ran("opening", "opening-failed", script)).exit_code, 3);
  const log = await LogPage.open(page, server, "opening-failed");
  await log.showsLine(401, "error: it broke");
  assert.ok((await log.part("failure").count()) > 0, "there is a button for it");
});

sees("a log that went well opens at its end", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-well", "seq 1 700");
  const log = await LogPage.open(page, server, "opening-well");
  await log.showsLine(700, "700");
});

sees("a link to lines opens the log there and marks them, after a reload as well", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-linked", "seq 1 2000");
  const log = await LogPage.open(page, server, "opening-linked", "#L1200-L1203");
  for (const look of ["first", "again"]) {
    const rows = await log.shows(`the lines of the link, ${look}`, (rows) => rows.some((row) => row.text === "1203"));
    const marked = rows.filter((row) => row.classes.includes("log-selected")).map((row) => row.sequence);
    assert.deepEqual(marked, [1200, 1201, 1202, 1203]);
    await page.reload();
  }
});

sees("a key leads from failure to failure, and says where there is none further on", async ({ page }) => {
  const server = await ingest();
  const script = "seq 1 99; echo '::error::first'; seq 101 299; echo '::error::second'; seq 301 600; exit 1";
  await server.ran("opening", "opening-failures", script);
  const log = await LogPage.open(page, server, "opening-failures");
  await log.showsLine(100);
  await log.press("e");
  await log.showsLine(300);
  await log.press("e");
  await page.getByText("No failure further down").waitFor();
  await log.part("failure").click();
  await log.showsLine(100);
});

sees("a log is scrolled by the browser's own keys, right after it was jumped to as well", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-keys", "seq 1 2000");
  const log = await LogPage.open(page, server, "opening-keys");
  await log.showsLine(2000);
  await log.scroller.focus();
  await log.press("g");
  await log.showsLine(1, "1");
  await log.press("PageDown");
  await log.shows("the next page", (rows) => (rows[0]?.sequence ?? 0) > 20);
  await log.press("ArrowUp", "ArrowUp", "PageUp");
  await log.showsLine(1, "1");
});

/** What the browser says of things that moved without anybody's doing (the Layout Instability API). */
interface Shift extends PerformanceEntry {
  readonly value: number;
  readonly sources: readonly { node: Node | null }[];
}

/** Has the page write down all that moves in it. */
function watchShifts(): void {
  const shifts: string[] = [];
  Object.assign(globalThis, { shifts });
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries() as Shift[]) {
      const moved = sources.map(({ node }) => (node instanceof Element ? node.className : node?.nodeName));
      // The name of a worker's task comes with its first answer, and stands before the worker's own in the head.
      if (value > 0.001) shifts.push(`${value.toFixed(4)}: ${moved.join(", ")}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** What has moved, ten frames on: the browser tells of it after the frame. */
async function shiftsSoFar(): Promise<string[]> {
  for (let frame = 0; frame < 10; frame += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  return (globalThis as unknown as { shifts: string[] }).shifts;
}

for (const [view, path] of [
  ["the list of tasks", "/"],
  ["a task", "/#/tasks/opening-still"],
  ["a worker's log", "/#/workers/opening-still-0"],
] as const) {
  sees(`nothing of ${view} moves once it can be seen`, async ({ page }) => {
    const server = await ingest();
    await server.ran("opening-still", "opening-still-0", "seq 1 300; echo still");
    await page.addInitScript(watchShifts);
    await page.goto(server.url(path));
    await page.locator("main").getByText("still").first().waitFor();
    assert.deepEqual(await page.evaluate(shiftsSoFar), []);
  });
}
