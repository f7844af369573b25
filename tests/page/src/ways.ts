/** From one way to show a task to the next, and to workers who are not there. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

sees("through all ways to show a task, who was read comes back, where he was read", async ({ page }) => {
  const server = await ingest();
  await server.ran("ways-around", "ways-around-2", "seq 1 3000");
  await server.ran("ways-around", "ways-around-1", "echo no; exit 3");
  await page.goto(server.url("/#/tasks/ways-around?w=ways-around-2"));
  const log = new LogPage(page, "ways-around-2");
  await log.showsLine(3000);
  await log.wheel(-20_000);
  const [before] = await log.atRest();
  assert.ok(before && before.sequence < 2_900 && before.sequence > 1_000, `at ${before?.sequence}`);
  const comesBack = () =>
    until(
      "the line that was at the top",
      async () => (await log.sequences())[0],
      (top) => top === before.sequence,
    );
  await page.keyboard.press("v");
  await page.locator('.column.active[aria-label="ways-around-2"]').waitFor();
  await comesBack();
  await page.keyboard.press("v");
  await page.locator(".timeline").waitFor();
  await page.keyboard.press("v");
  await page.locator('.log[data-worker="ways-around-2"]').waitFor();
  await comesBack();
  assert.equal(await page.locator(".log").count(), 1);
  // The same by press, and by way of a line and back.
  await page.keyboard.press("v");
  await page.keyboard.press("v");
  await page.locator(".workers button", { hasText: "2" }).last().click();
  await page.locator('[role=tab][title="ways-around-2"]').waitFor();
  await comesBack();
  await page.keyboard.press("v");
  await page.keyboard.press("v");
  await page.locator(".timeline-number").last().click();
  await page.waitForURL(/workers\/ways-around/);
  await page.goBack();
  await page.locator(".timeline").waitFor();
  await page.keyboard.press("v");
  await comesBack();
});

sees("the one that is read of those beside each other is the one that is shown alone", async ({ page }) => {
  const server = await ingest();
  for (const name of ["a", "b", "c"]) await server.ran("ways-beside", `ways-beside-${name}`, "seq 1 20");
  await page.goto(server.url("/#/tasks/ways-beside?show=side&w=ways-beside-a&w=ways-beside-b&w=ways-beside-c"));
  const read = new LogPage(page, "ways-beside-b");
  await read.showsLine(20);
  await read.scroller.click();
  await page.keyboard.press("v");
  await page.locator(".timeline").waitFor();
  await page.reload();
  await page.locator(".timeline").waitFor();
  await page.keyboard.press("v");
  await read.showsLine(20);
  assert.equal(await page.locator(".log").count(), 1);
});

sees("a line of a worker who is not there is marked in nobody else's log", async ({ page }) => {
  const server = await ingest();
  await server.ran("ways-gone", "ways-gone-1", "seq 1 20");
  await page.goto(server.url("/#/tasks/ways-gone?w=gone&line=5"));
  const log = new LogPage(page, "ways-gone-1");
  await log.showsLine(20);
  assert.equal(await log.root.locator(".log-selected").count(), 0);
});
