/** A task: its workers as tabs, side by side, and by time. */

import assert from "node:assert/strict";
import { ingest, type Person, sees } from "./browser.js";
import type { Ingest } from "./ingest.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** Three workers: one fails, one goes well, one is ended by a signal. */
async function three(server: Ingest, task: string): Promise<void> {
  await server.ran(task, `${task}-a`, "seq 1 50");
  await server.ran(task, `${task}-b`, "echo begun; echo 'error: no' >&2; exit 7");
  await server.ran(task, `${task}-c`, "echo only; kill -TERM $$");
}

/** The worker whose log is shown alone. */
const shown = ({ page }: Person) =>
  page.locator(".log").evaluateAll((logs) => logs.map((log) => log.getAttribute("data-worker")));

async function shows(person: Person, ...workers: string[]): Promise<void> {
  await until(
    "the logs that are shown",
    () => shown(person),
    (seen) => JSON.stringify(seen) === JSON.stringify(workers),
  );
}

sees("a task opens with the worker that failed, and tells each one's state and exit code", async (person) => {
  const { page } = person;
  const server = await ingest();
  await three(server, "tabs");
  await page.goto(server.url("/#/tasks/tabs"));
  await shows(person, "tabs-b");
  const tabs = page.getByRole("tab");
  const told = await until(
    "three tabs",
    () => tabs.allInnerTexts(),
    (texts) => texts.length === 3,
  );
  assert.match(told[0] ?? "", /exit code 0/);
  assert.match(told[1] ?? "", /exit code 7/);
  assert.match(told[2] ?? "", /ended by SIGTERM/);
});

sees("tabs are changed by press, by arrow and by key, and the address and the way back know which", async (person) => {
  const { page } = person;
  const server = await ingest();
  await three(server, "turned");
  await page.goto(server.url("/#/tasks/turned"));
  await shows(person, "turned-b");
  await page.getByRole("tab").nth(0).click();
  await shows(person, "turned-a");
  await new LogPage(page).showsLine(50, "50");
  await page.keyboard.press("ArrowRight");
  await shows(person, "turned-b");
  await page.keyboard.press("l");
  await shows(person, "turned-c");
  await page.reload();
  await shows(person, "turned-c");
  await page.keyboard.press("h");
  await shows(person, "turned-b");
});

sees("workers are seen side by side, and keys go to the one that was touched", async (person) => {
  const { page } = person;
  const server = await ingest();
  await three(server, "beside");
  await page.goto(server.url("/#/tasks/beside"));
  await shows(person, "beside-b");
  await page.getByRole("radio", { name: "Side by side" }).click();
  await shows(person, "beside-b", "beside-c");
  await page.locator(".workers button", { hasText: "a" }).first().click();
  await shows(person, "beside-a", "beside-b", "beside-c");
  await page.locator(".workers button", { hasText: "c" }).last().click();
  await shows(person, "beside-a", "beside-b");
  const [first, second] = [new LogPage(page, "beside-a"), new LogPage(page, "beside-b")];
  await first.showsLine(50, "50");
  await second.showsLine(1, "begun");
  await first.scroller.click();
  await page.keyboard.press("g");
  await first.showsLine(1, "1");
  await page.locator(".workers button", { hasText: "c" }).last().click();
  await shows(person, "beside-a", "beside-b", "beside-c");
  await page.goBack();
  await shows(person, "beside-b");
});

sees("the failed workers of a task are found one after the other, by press and by key", async (person) => {
  const { page } = person;
  const server = await ingest();
  for (let worker = 1; worker <= 30; worker += 1) {
    const failed = [7, 16, 29].includes(worker);
    await server.ran("failed-few", `failed-few-${worker}`, failed ? "echo 'error: no'; exit 7" : "true");
  }
  await page.goto(server.url("/#/tasks/failed-few"));
  await shows(person, "failed-few-7");
  const next = page.getByRole("button", { name: "3 of 30 failed" });
  await next.click();
  await shows(person, "failed-few-16");
  await page.keyboard.press("F");
  await shows(person, "failed-few-29");
  await page.getByRole("tab", { selected: true }).getByText("29").waitFor();
  await page.keyboard.press("F");
  await shows(person, "failed-few-7");
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Next failed worker").waitFor();
  await page.keyboard.press("?");
  await page.getByRole("radio", { name: "Side by side" }).click();
  await shows(person, "failed-few-7", "failed-few-16");
  await next.click();
  await shows(person, "failed-few-7", "failed-few-16", "failed-few-29");
  await page.locator('.column.active[aria-label="failed-few-29"]').waitFor();
  await next.click();
  await page.getByText("No other worker failed").waitFor();
  await page.getByRole("radio", { name: "By time" }).click();
  await page.locator(".timeline").waitFor();
  await page.keyboard.press("F");
  await shows(person, "failed-few-7");
  await page.goBack();
  await page.locator(".timeline").waitFor();
});

sees(
  "who goes from within a log to the next failed worker is told its name, and is in its log then",
  async (person) => {
    const { page } = person;
    const server = await ingest();
    await three(server, "failed-heard");
    await page.goto(server.url("/#/tasks/failed-heard"));
    await shows(person, "failed-heard-b");
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
    const isIn = (worker: string) =>
      until(`the focus is in the log of ${worker}`, focused, (label) => label === `Log of ${worker}`);
    await new LogPage(page).scroller.click();
    await isIn("failed-heard-b");
    // It is said for some seconds only.
    const said = page.getByRole("status").getByText("Failed worker: failed-heard-c", { exact: true }).waitFor();
    await page.keyboard.press("F");
    await said;
    await shows(person, "failed-heard-c");
    await isIn("failed-heard-c");
  },
);

sees(
  "a phone has the way to the next failed worker as well",
  async (person) => {
    const { page } = person;
    const server = await ingest();
    await three(server, "failed-phone");
    await page.goto(server.url("/#/tasks/failed-phone"));
    await shows(person, "failed-phone-b");
    await page.getByRole("button", { name: "of 3 failed" }).tap();
    await shows(person, "failed-phone-c");
  },
  { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
);

sees(
  "logs side by side are told apart by their headings where these have little room",
  async (person) => {
    const { page } = person;
    const server = await ingest();
    const workers = [0, 1, 2, 3].map((at) => `build-matrix-linux-x86_64-${at}`);
    for (const worker of workers) await server.ran("told-apart", worker, "echo done");
    const chosen = workers.map((worker) => `&w=${worker}`).join("");
    await page.goto(server.url(`/#/tasks/told-apart?show=side${chosen}`));
    await shows(person, ...workers);
    const headings = page.locator(".column h2");
    assert.deepEqual(await headings.allTextContents(), workers);
    const ends = await headings.evaluateAll((all) =>
      all.map(({ lastElementChild: end }) => end && [end.textContent, end.scrollWidth <= end.clientWidth]),
    );
    assert.deepEqual(
      ends,
      ["0", "1", "2", "3"].map((end) => [end, true]),
      "the end of each name is seen",
    );
  },
  { viewport: { width: 1000, height: 600 } },
);

sees("all workers' lines are seen in order of time, live, and each leads to its line", async (person) => {
  const { page } = person;
  const server = await ingest();
  const [one, two] = [server.agent("by-time", "by-time-1"), server.agent("by-time", "by-time-2")];
  const texts = () => page.locator(".timeline-text").allInnerTexts();
  one.says("first");
  await one.sent(1);
  two.says("second");
  await two.sent(1);
  await page.goto(server.url("/#/tasks/by-time?show=time"));
  const expected = ["first", "second"];
  for (const [agent, lines] of [
    [one, 2],
    [two, 2],
    [one, 3],
  ] as const) {
    await until("the lines by time", texts, (seen) => JSON.stringify(seen) === JSON.stringify(expected));
    agent.says(`line ${expected.length}`);
    await agent.sent(lines);
    expected.push(`line ${expected.length}`);
  }
  await until("the lines by time", texts, (seen) => JSON.stringify(seen) === JSON.stringify(expected));
  await page.locator(".timeline-row", { hasText: "line 3" }).locator("a").click();
  await new LogPage(page, "by-time-2").showsLine(2, "line 3");
  await Promise.all([one.done(), two.done()]);
});

sees("a line by time is chosen by key, and Enter shows it in its log", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("by-time-keys", "by-time-keys-1");
  agent.does("seq 1 300");
  await agent.sent(300);
  await page.goto(server.url("/#/tasks/by-time-keys?show=time"));
  await page.getByText("300", { exact: true }).last().waitFor();
  const chosen = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
  await page.keyboard.press("j");
  const first = Number(/: (\d+)$/.exec(await chosen())?.[1]);
  assert.ok(first > 200 && first <= 300, `${await chosen()} can be seen`);
  for (const key of ["j", "j", "j", "k"]) await page.keyboard.press(key);
  assert.equal(await chosen(), `by-time-keys-1 ${first + 2}: ${first + 2}`);
  agent.does("seq 301 400");
  await page.getByText("100 new lines").waitFor();
  assert.equal(await chosen(), `by-time-keys-1 ${first + 2}: ${first + 2}`, "what is chosen stays");
  await page.keyboard.press("Enter");
  await new LogPage(page, "by-time-keys-1").showsLine(first + 2, String(first + 2));
  await agent.done();
});

sees("lines by time keep their colour over other workers' lines, and their times follow the zone", async ({ page }) => {
  const server = await ingest();
  const [one, two] = [server.agent("by-time-red", "by-time-red-1"), server.agent("by-time-red", "by-time-red-2")];
  one.does("printf '\\033[31mred\\n'");
  await one.sent(1);
  two.says("between");
  await two.sent(1);
  one.does("printf 'red yet\\033[0m\\n'");
  await one.sent(2);
  await page.goto(server.url("/#/tasks/by-time-red?show=time"));
  const red = (text: string) => page.locator(".timeline-row", { hasText: text }).locator(".log-fg-1");
  await red("red yet").waitFor();
  assert.equal(await red("between").count(), 0);
  const hour = async () => Number((await page.locator(".timeline-time").first().innerText()).slice(0, 2));
  const local = await hour();
  await page.keyboard.press("U");
  assert.equal((local - (await hour()) + 24) % 24, 9, "Seoul is nine hours ahead");
  await Promise.all([one.done(), two.done()]);
});

sees(
  "a task that writes faster than anybody reads is followed by time, a bounded number of rows at a time",
  async (person) => {
    const { page, note } = person;
    const server = await ingest();
    const agent = server.agent("by-time-fast", "by-time-fast-1");
    agent.says("begun");
    await agent.sent(1);
    await page.goto(server.url("/#/tasks/by-time-fast?show=time"));
    await page.getByText("begun").waitFor();
    await page.getByText("live", { exact: true }).waitFor();
    await page.evaluate(() => {
      const seen = { rows: 0, longest: 0, last: performance.now() };
      Object.assign(globalThis, { seen });
      const look = () => {
        const now = performance.now();
        seen.rows = Math.max(seen.rows, document.querySelectorAll(".timeline-row").length);
        seen.longest = Math.max(seen.longest, now - seen.last);
        seen.last = now;
        requestAnimationFrame(look);
      };
      look();
    });
    agent.does("seq 2 200000");
    await agent.sent(200_000, 60_000);
    await page.locator(".timeline-text").getByText("200000", { exact: true }).waitFor();
    const seen = await page.evaluate(() => (globalThis as unknown as { seen: { rows: number; longest: number } }).seen);
    note(`at most ${seen.rows} rows, longest frame ${Math.round(seen.longest)} ms`);
    assert.ok(seen.rows <= 1_600, `${seen.rows} rows at once`);
    const numbers = () => page.locator(".timeline-number").allInnerTexts();
    const before = (await numbers()).length;
    await page.keyboard.press("e");
    const all = await until("earlier lines", numbers, (seen) => seen.length > before);
    const expected = all.map((_, at) => String(Number(all[0]) + at));
    assert.deepEqual(all, expected, "one after the other");
    await agent.done();
  },
);

sees("a worker that comes later shows by itself in its task", async ({ page }) => {
  const server = await ingest();
  await server.ran("grows", "grows-1", "true");
  await page.goto(server.url("/#/tasks/grows"));
  await page.getByRole("tab").first().waitFor();
  await server.ran("grows", "grows-2", "true");
  await until(
    "two tabs",
    () => page.getByRole("tab").count(),
    (count) => count === 2,
  );
});

sees("a worker that says nothing for long is said to be quiet", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("quiet", "quiet-0");
  agent.does("echo begun");
  await agent.sent(1);
  await page.clock.install();
  await page.goto(server.url("/#/workers/quiet-0"));
  await page.locator(".worker-bar").waitFor();
  await page.clock.fastForward("10:00");
  await page.getByText(/Quiet for/).waitFor();
  await agent.done();
});
