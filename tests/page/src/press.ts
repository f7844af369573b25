/** Pressing on rows that would change, or move, while a button of the mouse or a finger is down. */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

type Point = readonly [x: number, y: number];

async function middleOf(what: Locator): Promise<Point> {
  const box = await what.boundingBox();
  assert.ok(box);
  return [box.x + box.width / 2, box.y + box.height / 2];
}

/** Presses there with the mouse; gives what lets it go. */
async function byMouse(page: Page, at: Point): Promise<() => Promise<unknown>> {
  await page.mouse.move(...at);
  await page.mouse.down();
  return () => page.mouse.up();
}

async function byFinger(page: Page, [x, y]: Point): Promise<() => Promise<unknown>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x, y }] });
  return () => session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}

/** Waits until the page has been told of a line, whether it shows it or not. */
async function hears(page: Page, sequence: number): Promise<() => Promise<boolean>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const told = new Promise<boolean>((resolve) => {
    session.on("Network.eventSourceMessageReceived", ({ data }) => {
      if (data.includes(`"sequence":${sequence}`)) resolve(true);
    });
  });
  return () => told;
}

async function frames(page: Page): Promise<void> {
  await page.evaluate(async () => {
    for (let count = 0; count < 5; count += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  });
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
  const here = page.waitForEvent("requestfinished", (request) => request.url().includes("/logs?"));
  const letGo = await byMouse(page, await middleOf(title));
  come();
  await here;
  await frames(page);
  const fourth = (await log.rows()).find(({ sequence }) => sequence === 4);
  assert.equal(fourth?.text, "…", "nothing is drawn while something is pressed");
  await letGo();
  await log.showsLine(2, "hidden");
  await log.showsLine(4, "1");
});

for (const { name, press, as } of [
  { name: "mouse", press: byMouse, as: {} },
  { name: "finger", press: byFinger, as: { hasTouch: true } },
] as const) {
  sees(
    `a line that is pressed by ${name} while the log would move on is chosen, and no other`,
    async ({ page }) => {
      const server = await ingest();
      const worker = `press-moving-${name}`;
      const agent = server.agent("press", worker);
      agent.does("seq 1 300");
      await agent.sent(300);
      const heard = await hears(page, 305);
      const log = await LogPage.open(page, server, worker);
      await log.showsLine(300, "300");
      await log.isPressed("follow");
      const number = log.row(295).locator(".log-number");
      const at = await middleOf(number);
      const letGo = await press(page, at);
      agent.does("seq 301 305");
      await heard();
      await frames(page);
      assert.deepEqual(await middleOf(number), at, "it stays where it is");
      await letGo();
      await page.waitForURL(/line=295$/);
      await log.press("f");
      await log.showsLine(305, "305");
      await agent.done();
    },
    as,
  );
}

sees("a log that is pressed, and never let go, goes on", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("press", "press-held");
  agent.does("seq 1 300");
  await agent.sent(300);
  const log = await LogPage.open(page, server, "press-held");
  await log.showsLine(300, "300");
  await byMouse(page, await middleOf(log.row(295).locator(".log-number")));
  agent.does("seq 301 305");
  await log.showsLine(305, "305");
  await agent.done();
});

sees("a press that slips a little is one, and one that is dragged elsewhere does nothing", async ({ page }) => {
  const server = await ingest();
  const script = 'for n in 1 2; do echo "::group::part $n"; echo "in $n"; echo \'::endgroup::\'; done; seq 1 200';
  await server.ran("press", "press-dragged", script);
  const log = await LogPage.open(page, server, "press-dragged");
  await log.part("fold-all").waitFor();
  await log.press("g");
  const [first, second] = [log.row(1).locator(".log-fold"), log.row(4).locator(".log-fold")];
  await second.waitFor();
  const dragged = async (from: Point, to: Point) => {
    const letGo = await byMouse(page, from);
    await page.mouse.move(...to, { steps: 4 });
    await letGo();
  };
  await dragged(await middleOf(first), await middleOf(second));
  const [tenth, twelfth] = [log.row(10).locator(".log-number"), log.row(12).locator(".log-number")];
  await dragged(await middleOf(tenth), await middleOf(twelfth));
  const [x, y] = await middleOf(log.row(15).locator(".log-number"));
  await dragged([x, y], [x + 6, y + 2]);
  await page.waitForURL(/line=15$/);
  assert.equal(await log.root.locator(".log-selected").count(), 1);
  for (const title of [first, second]) assert.equal(await title.getAttribute("aria-expanded"), "false");
  // Had anything else been chosen, this would be a range.
  await page.keyboard.press("Escape");
  await until(
    "nothing chosen",
    () => log.root.locator(".log-selected").count(),
    (count) => count === 0,
  );
  await dragged(await middleOf(tenth), await middleOf(twelfth));
  await log
    .row(20)
    .locator(".log-number")
    .click({ modifiers: ["Shift"] });
  await page.waitForURL(/line=20$/);
});
