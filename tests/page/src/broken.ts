/** The network goes and comes back, and so does log-ingest: no line is missing in the view, and none is there twice. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, ownIngest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { Network } from "./network.js";
import { until } from "./wait.js";

/** Has the page note whether the lines by time say for themselves that the server cannot be reached. */
async function listenByTime(page: Page): Promise<() => Promise<boolean>> {
  await page.evaluate(() => {
    const heard = { said: false };
    Object.assign(globalThis, { heard });
    const look = () => {
      heard.said ||= document.querySelector(".by-time .banner") !== null;
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  });
  return () => page.evaluate(() => (globalThis as unknown as { heard: { said: boolean } }).heard.said);
}

/** Has the page look at its rows with each frame, and note where they are not one after the other. */
async function watch(page: Page): Promise<void> {
  await page.evaluate(() => {
    const seen = { wrong: [] as string[], last: 0, frames: 0 };
    Object.assign(globalThis, { seen });
    const look = () => {
      const rows = [...document.querySelectorAll<HTMLElement>(".log-row")];
      const numbers = rows.map((row) => Number(row.dataset["sequence"]));
      numbers.forEach((number, at) => {
        const before = numbers[at - 1];
        if (before !== undefined && number !== before + 1) seen.wrong.push(`${number} behind ${before}`);
        const text = rows[at]?.querySelector(".log-text")?.textContent;
        if (text !== "…" && text !== String(number)) seen.wrong.push(`${number} says ${text}`);
      });
      const last = numbers.at(-1) ?? 0;
      if (last < seen.last) seen.wrong.push(`from ${seen.last} back to ${last}`);
      seen.last = last;
      seen.frames += 1;
      requestAnimationFrame(look);
    };
    look();
  });
}

const watched = (page: Page) =>
  page.evaluate(() => (globalThis as unknown as { seen: { wrong: string[]; last: number } }).seen);

async function follows(page: Page, past: number): Promise<number> {
  const seen = await until(
    `the view goes past line ${past}`,
    () => watched(page),
    ({ last }) => last > past,
    60_000,
  );
  return seen.last;
}

/** Goes through the whole log from its first line by wheel, and looks at each row on the way. */
async function readThrough(log: LogPage, last: number): Promise<void> {
  await log.scroller.click({ position: { x: 300, y: 5 } });
  await log.press("g");
  await log.showsLine(1, "1");
  let next = 1;
  while (next <= last) {
    const rows = await log.shows(
      `line ${next}, and all there`,
      (rows) => rows.some(({ sequence }) => sequence === next) && rows.every(({ text }) => text !== "…"),
    );
    for (const { sequence, text } of rows.filter(({ sequence }) => sequence >= next)) {
      assert.equal(sequence, next, "one after the other");
      assert.equal(text, String(sequence));
      next += 1;
    }
    await log.wheel(500);
  }
  assert.equal(next, last + 1);
}

sees(
  "a browser that was off the network goes on where it was, and says meanwhile how it stands",
  async ({ page, context }) => {
    const server = await ingest();
    const network = await Network.before(server.url());
    const agent = server.agent("broken", "broken-network");
    agent.counts();
    await agent.sent(100);
    const log = await LogPage.open(page, network, "broken-network");
    await log.isPressed("follow");
    await watch(page);
    for (let round = 0; round < 2; round += 1) {
      const before = await follows(page, (await watched(page)).last + 20);
      network.cut();
      await context.setOffline(true);
      await log.part("connection").waitFor();
      await agent.sent(before + 80);
      network.mend();
      await context.setOffline(false);
      await log.part("connection").waitFor({ state: "detached" });
      await follows(page, before + 80);
    }
    agent.stops();
    const { last_sequence: last } = await agent.done();
    await log.showsLine(last, String(last));
    assert.deepEqual((await watched(page)).wrong, []);
    await readThrough(log, last);
  },
);

sees("log-ingest is killed and comes back: the view goes on without a missing or doubled line", async ({ page }) => {
  const server = await ownIngest();
  const agent = server.agent("broken", "broken-server");
  agent.counts();
  await agent.sent(100);
  const log = await LogPage.open(page, server, "broken-server");
  await log.isPressed("follow");
  await watch(page);
  for (let round = 0; round < 2; round += 1) {
    const before = await follows(page, (await watched(page)).last + 20);
    await server.kill();
    await log.part("connection").waitFor();
    await server.resume();
    await follows(page, before + 80);
    await log.part("connection").waitFor({ state: "detached" });
  }
  agent.stops();
  const { last_sequence: last } = await agent.done();
  await log.showsLine(last, String(last));
  assert.deepEqual((await watched(page)).wrong, []);
  await readThrough(log, last);
});

for (const [name, path] of [
  ["a log", "workers/broken-silent-log"],
  ["a task by time", "tasks/broken-silent-time?show=time"],
  ["a log beside others", "tasks/broken-silent-side?show=side"],
] as const) {
  sees(`a connection that died without a word is made again: ${name}`, async ({ page }) => {
    const server = await ingest();
    const network = await Network.before(server.url());
    const [, task = "", worker = task] = /(broken-silent-\w+)/.exec(path) ?? [];
    const agent = server.agent(task, worker);
    agent.says("begun");
    await agent.sent(1);
    await page.clock.install();
    const connected = page.waitForResponse((response) => response.url().includes("/tail"));
    await page.goto(network.url(`/#/${path}`));
    await page.getByText("begun", { exact: true }).waitFor();
    await connected;
    network.silence();
    agent.says("more");
    await agent.sent(2);
    await page.clock.fastForward(60_000);
    await page.getByText("more", { exact: true }).waitFor();
    await agent.done();
  });
}

sees("another log under the same name is shown in place of the one that was", async ({ page }) => {
  const server = await ownIngest();
  const network = await Network.before(server.url());
  const before = server.agent("broken-again", "broken-again-0");
  before.does("seq 1 500");
  await before.sent(500);
  const log = await LogPage.open(page, network, "broken-again-0");
  await log.showsLine(500, "500");
  network.cut();
  await before.kill();
  await server.loseAll();
  await server.resume();
  const after = server.agent("broken-again", "broken-again-0");
  after.says("another");
  await after.sent(1);
  network.mend();
  const rows = await log.shows("the other log", (rows) => rows.some(({ text }) => text === "another"));
  assert.deepEqual(
    rows.map(({ sequence, text }) => [sequence, text]),
    [[1, "another"]],
  );
  after.says("live");
  await log.showsLine(2, "live");
  await after.done();
});

sees("a page whose server is gone says so in the list, and goes on when it is back", async ({ page }) => {
  const server = await ownIngest();
  await server.ran("broken-list", "broken-list-0", "true");
  await page.goto(server.url());
  await page.getByText("broken-list").waitFor();
  await server.kill();
  await page.getByText("The server cannot be reached. Trying again…").waitFor();
  assert.ok(await page.getByText("broken-list").isVisible(), "what was known is still shown");
  await server.resume();
  await server.ran("broken-later", "broken-later-0", "true");
  await page.getByText("broken-later").waitFor();
  await page.getByText("The server cannot be reached. Trying again…").waitFor({ state: "detached" });
});

sees("that the server cannot be reached is said once, also in a task by time", async ({ page }) => {
  const server = await ingest();
  const network = await Network.before(server.url());
  const agent = server.agent("broken-once", "broken-once-0");
  agent.says("begun");
  await agent.sent(1);
  await page.goto(network.url("/#/tasks/broken-once?show=time"));
  await page.getByText("live", { exact: true }).waitFor();
  network.cut();
  await page.locator(".timeline-foot .warn").waitFor();
  const failed = () => page.waitForEvent("requestfailed", (request) => request.url().endsWith("/tasks/broken-once"));
  await failed();
  await failed();
  assert.equal(await page.getByText("The server cannot be reached. Trying again…").count(), 1);
  const isSaidAnew = await listenByTime(page);
  network.mend();
  await page.getByText("live", { exact: true }).waitFor();
  await page.locator(".banner").waitFor({ state: "detached" });
  assert.ok(!(await isSaidAnew()), "not said once more when the server has just answered");
  await agent.done();
});

sees("a page whose log goes on says no longer that the server cannot be reached", async ({ page }) => {
  const server = await ingest();
  const network = await Network.before(server.url());
  const agent = server.agent("broken-wakes", "broken-wakes-0");
  agent.says("begun");
  await agent.sent(1);
  await page.clock.install();
  await page.goto(network.url("/#/tasks/broken-wakes"));
  const log = new LogPage(page);
  await log.showsLine(1, "begun");
  await page.route("**/tasks/broken-wakes", (route) => route.abort());
  const banner = page.locator(".banner");
  const failed = () => page.waitForEvent("requestfailed", (request) => request.url().endsWith("/tasks/broken-wakes"));
  // Until it asks every half a minute only.
  for (let failures = 0; failures < 6; failures += 1) await Promise.all([failed(), page.clock.fastForward(38_000)]);
  await banner.waitFor();
  await page.unroute("**/tasks/broken-wakes");
  network.cut();
  await log.part("connection").waitFor();
  network.mend();
  await log.part("connection").waitFor({ state: "detached" });
  await banner.waitFor({ state: "detached", timeout: 10_000 });
  await agent.done();
});

sees(
  "a page that was hidden lets its connection go, and has all lines when it is looked at again",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("broken", "broken-hidden");
    agent.does("seq 1 100");
    await agent.sent(100);
    const log = await LogPage.open(page, server, "broken-hidden");
    await log.showsLine(100, "100");
    const hide = (hidden: boolean) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    agent.does("seq 101 900");
    await agent.sent(900);
    await hide(false);
    await log.showsLine(900, "900");
    await agent.done();
  },
);
