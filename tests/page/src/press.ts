/** Pressing on rows that change, or move, while a button of the mouse is down. */

import assert from "node:assert/strict";
import type { Locator } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

async function middleOf(what: Locator): Promise<[number, number]> {
  const box = await what.boundingBox();
  assert.ok(box);
  return [box.x + box.width / 2, box.y + box.height / 2];
}

sees("a group that is pressed before its lines are there, and let go after, opens", async ({ page }) => {
  const server = await ingest();
  // It opens at its end, far from the group, which is folded then.
  await server.ran("press", "press-early", "echo '--- folded'; echo hidden; echo '+++ open'; seq 1 200");
  let come = () => {};
  const pressed = new Promise<void>((resolve) => {
    come = resolve;
  });
  await page.route("**/logs?**", async (route) => {
    await pressed;
    await route.continue();
  });
  const log = await LogPage.open(page, server, "press-early");
  await log.part("fold-all").waitFor();
  await log.press("g");
  const title = log.row(1).locator(".log-fold");
  await title.waitFor();
  await page.mouse.move(...(await middleOf(title)));
  await page.mouse.down();
  assert.equal((await log.rows()).find(({ sequence }) => sequence === 4)?.text, "\u2026", "no line is here yet");
  come();
  await log.showsLine(4, "1");
  await page.mouse.up();
  await log.showsLine(2, "hidden");
});

sees("a line that is pressed while the log moves on below the mouse is chosen, and no other", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("press", "press-moving");
  agent.does("seq 1 300");
  await agent.sent(300);
  const log = await LogPage.open(page, server, "press-moving");
  await log.showsLine(300, "300");
  const number = log.row(295).locator(".log-number");
  const [x, y] = await middleOf(number);
  await page.mouse.move(x, y);
  await page.mouse.down();
  agent.does("seq 301 305");
  await log.showsLine(305, "305");
  await until(
    "the line elsewhere",
    () => middleOf(number),
    ([, now]) => Math.abs(now - y) > 50,
  );
  await page.mouse.up();
  await page.waitForURL(/line=295$/);
  await agent.done();
});

sees("a press that is dragged elsewhere chooses nothing", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-dragged", "seq 1 20");
  const log = await LogPage.open(page, server, "press-dragged");
  await log.showsLine(20, "20");
  await page.mouse.move(...(await middleOf(log.row(5).locator(".log-number"))));
  await page.mouse.down();
  await page.mouse.move(...(await middleOf(log.row(9).locator(".log-number"))), { steps: 4 });
  await page.mouse.up();
  // What is chosen next is all that is.
  await log.row(12).locator(".log-number").click();
  await page.waitForURL(/line=12$/);
  assert.equal(await log.root.locator(".log-selected").count(), 1);
});
