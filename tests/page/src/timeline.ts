/** What all workers of a task have written, by time: where somebody reads stays where it is. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import type { Agent } from "./ingest.js";
import { frames } from "./told.js";
import { until } from "./wait.js";

/** A task of one worker that has written so many lines and goes on, by time, at its end. */
async function byTime(page: Page, task: string, lines: number): Promise<Agent> {
  const server = await ingest();
  const agent = server.agent(task, `${task}-1`);
  agent.does(`seq 1 ${lines}`);
  await agent.sent(lines);
  await page.goto(server.url(`/#/tasks/${task}?show=time`));
  await page.locator(".timeline-text").getByText(String(lines), { exact: true }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  return agent;
}

const topOf = (page: Page) => page.locator(".timeline").evaluate(({ scrollTop }) => scrollTop);

const isAtEnd = (page: Page) =>
  until(
    "the end",
    () => page.locator(".timeline").evaluate((line) => line.scrollHeight - line.clientHeight - line.scrollTop),
    (left) => left < 1,
  );

/** The first line that is there, and the first that is seen. */
async function lines(page: Page): Promise<{ first: number; seen: number }> {
  return page.locator(".timeline").evaluate((timeline) => {
    const { top } = timeline.getBoundingClientRect();
    const numbers = [...timeline.querySelectorAll(".timeline-number")];
    const seen = numbers.find((number) => number.getBoundingClientRect().bottom > top + 1);
    return { first: Number(numbers[0]?.textContent), seen: Number(seen?.textContent) };
  });
}

sees("by time, whoever scrolls up a little from the end stays there when lines come", async ({ page }) => {
  const agent = await byTime(page, "time-little", 300);
  const end = await topOf(page);
  await page.locator(".timeline").hover();
  await page.mouse.wheel(0, -12);
  await until(
    "a little above the end",
    () => topOf(page),
    (top) => top === end - 12,
  );
  const before = await lines(page);
  agent.does("seq 301 400");
  await page.getByText("100 new lines").waitFor();
  assert.deepEqual(await lines(page), before);
  await page.mouse.wheel(0, 100_000);
  await page.getByText("100 new lines").waitFor({ state: "detached" });
  agent.says("the last");
  await page.locator(".timeline-text").getByText("the last").waitFor();
  await isAtEnd(page);
  await agent.done();
});

sees("by time, lines of before stay that were asked for at the end, though others come", async ({ page }) => {
  const agent = await byTime(page, "time-earlier", 5_000);
  const before = await lines(page);
  await page.keyboard.press("e");
  const { first } = await until(
    "earlier lines",
    () => lines(page),
    ({ first }) => first < before.first,
  );
  agent.does("seq 5001 6200");
  await page.getByText("1,200 new lines").waitFor();
  assert.deepEqual(await lines(page), { first, seen: before.seen });
  await agent.done();
});

sees("by time, keys scroll from the beginning, also after the way was chosen by press", async ({ page }) => {
  const server = await ingest();
  await server.ran("time-keys", "time-keys-1", "seq 1 300");
  await page.goto(server.url("/#/tasks/time-keys"));
  await page.getByRole("radio", { name: "By time" }).click();
  await page.locator(".timeline-text").getByText("300", { exact: true }).waitFor();
  const height = await page.locator(".timeline").evaluate(({ clientHeight }) => clientHeight);
  const moves = async (key: string, is: (by: number) => boolean) => {
    const before = await topOf(page);
    await page.keyboard.press(key);
    await until(
      `${key} has scrolled`,
      () => topOf(page),
      (top) => is(top - before),
    );
  };
  const isPage = (by: number) => by > height / 2 && by < height;
  await moves("PageUp", (by) => isPage(-by));
  await moves("Home", (by) => by < -height);
  assert.equal(await topOf(page), 0);
  await moves("PageDown", isPage);
  await page.reload();
  await page.locator(".timeline-text").getByText("300", { exact: true }).waitFor();
  await moves("ArrowUp", (by) => by < 0 && by > -height / 2);
  await moves("Shift+Space", (by) => isPage(-by));
  await moves("ArrowDown", (by) => by > 0 && by < height / 2);
  await moves("Space", isPage);
  await moves("Home", (by) => by < 0);
  await moves("End", (by) => by > height);
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Page down").waitFor();
});

/** Has a page press a key where an answer about a task is read next, before anything of that is drawn. */
function pressWithNextAnswer(key: string): void {
  const { json } = Response.prototype;
  Response.prototype.json = async function read() {
    const told: unknown = await json.call(this);
    if (!/\/tasks\/[^/]+$/.test(this.url)) return told;
    Response.prototype.json = json;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    document.body.dataset["pressed"] = key;
    return told;
  };
}

sees("by time, a page up counts in the very moment in which the task is told of", async ({ page }) => {
  const agent = await byTime(page, "time-moment", 300);
  await isAtEnd(page);
  const end = await topOf(page);
  await page.evaluate(pressWithNextAnswer, "PageUp");
  agent.says("301");
  await page.locator('body[data-pressed="PageUp"]').waitFor();
  agent.says("302");
  await page.getByText("new line").waitFor();
  const top = await topOf(page);
  assert.ok(top < end - 200, `at ${top} of ${end}`);
  await agent.done();
});

sees("by time, to ask for earlier lines where there are none ends no following", async ({ page }) => {
  const agent = await byTime(page, "time-none", 5);
  await page.keyboard.press("e");
  agent.does("seq 6 200");
  await page.locator(".timeline-text").getByText("200", { exact: true }).waitFor();
  await isAtEnd(page);
  assert.equal(await page.getByText("new lines").count(), 0);
  await agent.done();
});

sees(
  "by time, whoever reads on to where later lines were let go stays there until he goes to the end",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("time-cut", "time-cut-1", "seq 1 9000");
    await page.goto(server.url("/#/tasks/time-cut?show=time"));
    await page.locator(".timeline-text").getByText("9000", { exact: true }).waitFor();
    const cut = page.getByRole("status").getByText("Later lines are left out here.");
    while (!(await cut.isVisible())) {
      const { first } = await lines(page);
      await page.keyboard.press("g");
      await until("earlier lines", async () => (await lines(page)).first < first);
    }
    const last = () => page.locator(".timeline-number").last().innerText();
    const held = await last();
    assert.ok(Number(held) < 9_000, `up to ${held}`);
    await page.locator(".timeline").hover();
    await page.mouse.wheel(0, 1_000_000);
    await isAtEnd(page);
    await frames(page);
    assert.equal(await last(), held);
    await page.keyboard.press("G");
    await page.locator(".timeline-text").getByText("9000", { exact: true }).waitFor();
    await isAtEnd(page);
  },
);

sees("by time, the end stays in sight when the window gets another size", async ({ page }) => {
  const server = await ingest();
  await server.ran("time-sized", "time-sized-1", "seq 1 300");
  await page.goto(server.url("/#/tasks/time-sized?show=time"));
  await page.locator(".timeline-text").getByText("300", { exact: true }).waitFor();
  for (const height of [500, 900, 600]) {
    await page.setViewportSize({ width: 1280, height });
    await isAtEnd(page);
  }
  await page.keyboard.press("PageUp");
  const before = await lines(page);
  await page.setViewportSize({ width: 1280, height: 550 });
  await frames(page);
  assert.deepEqual(await lines(page), before);
});
