/** Where the log's window stands: whatever comes up, whoever scrolls. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { holdBack } from "./held.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

for (const [where, line] of [
  ["in its middle", 1000],
  ["near its beginning", 3],
] as const) {
  sees(
    `where the browser brings a line of a log into view by itself, ${where}, the window goes there`,
    async ({ page }) => {
      const server = await ingest();
      await server.ran("window", `window-brought-${line}`, "seq 1 2000");
      // Not a whole number of rows.
      await page.setViewportSize({ width: 1000, height: 607 });
      const log = await LogPage.open(page, server, `window-brought-${line}`, `#L${line}`);
      await log.showsLine(line, String(line));
      const last = (await log.atRest()).at(-1)?.sequence ?? 0;
      const below = () =>
        log.row(last).evaluate((row) => {
          const window = row.closest(".log-window");
          const frame = window?.getBoundingClientRect();
          return { shifted: window?.scrollTop, hidden: row.getBoundingClientRect().bottom - (frame?.bottom ?? 0) };
        });
      const before = await below();
      assert.ok(before.hidden > 1, `it is cut: ${JSON.stringify(before)}`);
      await log.row(last).evaluate((row) => row.scrollIntoView({ block: "end" }));
      await until(`line ${last} is seen whole`, below, ({ shifted, hidden }) => shifted === 0 && hidden < 1);
      await log.press("Home");
      await log.shows("its beginning at the top", (rows) => rows[0]?.sequence === 1);
    },
  );
}

sees("the beginning of a line that is higher than the window stays seen when something comes up", async ({ page }) => {
  const server = await ingest();
  await server.ran("window", "window-high", "seq 1 50; head -c 4000 /dev/zero | tr '\\0' x; echo; seq 52 100");
  await page.setViewportSize({ width: 360, height: 560 });
  const log = await LogPage.open(page, server, "window-high", "#L51");
  const top = () =>
    log.row(51).evaluate((row) => {
      const frame = row.closest(".log-window")?.getBoundingClientRect();
      return row.getBoundingClientRect().top - (frame?.top ?? 0);
    });
  await log.showsLine(51);
  const before = await until("the line is drawn", top, (top) => top > 40);
  await log.press("/");
  await log.part("find-field").waitFor();
  await log.atRest();
  await until("the line begins where it did", top, (top) => Math.abs(top - before) < 1);
  // As a phone is turned: lines are broken elsewhere.
  for (const [width, height] of [
    [800, 360],
    [360, 560],
  ] as const) {
    await page.setViewportSize({ width, height });
    await log.atRest();
    await until(`the line begins in the window of ${width} pixels`, top, (top) => top >= 0 && top < height / 2);
  }
});

sees("the last line is seen whole above the bar for lines that are wider than the window", async ({ page }) => {
  const server = await ingest();
  await server.ran("window", "window-wide", "seq 1 530; head -c 3000 /dev/zero | tr '\\0' x; echo; seq 532 540");
  const log = await LogPage.open(page, server, "window-wide");
  await log.showsLine(540, "540");
  const left = () =>
    log.row(540).evaluate((row) => {
      const window = row.closest<HTMLElement>(".log-window");
      const frame = window?.getBoundingClientRect();
      const bar = (window?.offsetHeight ?? 0) - (window?.clientHeight ?? 0);
      return { bar, room: (frame?.bottom ?? 0) - bar - row.getBoundingClientRect().bottom };
    });
  const wrapped = await left();
  assert.equal(wrapped.bar, 0, "no bar where lines are wrapped");
  await log.part("wrap").click();
  await until("a bar that takes room, and the line above it", left, ({ bar, room }) => bar > 5 && Math.abs(room) < 1);
  // By key, and by the browser's own.
  await log.press("g");
  await log.showsLine(1, "1");
  await log.press("G");
  await log.showsLine(540, "540");
  await until("the same by G", left, ({ room }) => Math.abs(room) < 1);
  await log.press("Home");
  await log.showsLine(1, "1");
  await log.press("End");
  await log.showsLine(540, "540");
  await log.atRest();
  await until("the same by End", left, ({ room }) => Math.abs(room) < 1);
});

sees(
  "a log that is followed stays at its end, whatever comes up, also where a line of it is chosen",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("window", "window-followed");
    agent.does("seq 1 300");
    await agent.sent(300);
    const log = await LogPage.open(page, server, "window-followed");
    await log.showsLine(300, "300");
    await log.row(298).locator(".log-number").click();
    await page.waitForURL(/line=298$/);
    await log.isPressed("follow", false);
    await log.wheel(-200);
    await log.wheel(400);
    await log.isPressed("follow");
    const last = () =>
      log.row(300).evaluate((row) => {
        const frame = row.closest(".log-window")?.getBoundingClientRect();
        return row.getBoundingClientRect().bottom - (frame?.bottom ?? 0);
      });
    for (const change of [() => log.press("/"), () => page.setViewportSize({ width: 700, height: 500 })]) {
      await change();
      await log.atRest();
      await until("the last line at the bottom", last, (beyond) => Math.abs(beyond) < 1);
    }
    await agent.done();
  },
);

sees("keys that come before the log is known leave a link as it is", async ({ page }) => {
  const server = await ingest();
  await server.ran("window", "window-unknown", "seq 1 2000");
  const go = await holdBack(page, "**/api/v1/**");
  await page.goto(server.url("/#/workers/window-unknown#L1000"));
  await page.locator(".log-scroller").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("J");
  go();
  await new LogPage(page).showsLine(1000, "1000");
  assert.match(page.url(), /L1000$|line=1000$/);
});

sees("keys go on from where a key has just led, with no time between them", async ({ page }) => {
  const server = await ingest();
  await server.ran("window", "window-led", "seq 1 20000");
  const log = await LogPage.open(page, server, "window-led");
  await log.showsLine(20_000, "20000");
  await log.press("g", "j");
  await page.waitForURL(/line=1$/);
  await log.press("G", "k");
  // The last line, or the first of its window once that is drawn.
  await page.waitForURL(/line=(20000|199\d\d)$/);
  await log.press("Escape", "g");
  await log.showsLine(1, "1");
  await log.press("G");
  await log.showsLine(20_000, "20000");
  await log.press("PageUp");
  await log.shows("the page before the last", (rows) => {
    const last = rows.at(-1)?.sequence ?? 0;
    return last > 19_900 && last < 19_990;
  });
});

sees("the bar says where the window is when hidden lines come back at the end", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("window", "window-hidden");
  agent.does("seq 1 2000");
  await agent.sent(2_000);
  agent.does("echo last >&2");
  await agent.done();
  const log = await LogPage.open(page, server, "window-hidden");
  await log.showsLine(2_001, "last");
  const left = () =>
    log.scroller.evaluate((scroller) => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop);
  await log.press("1");
  await log.shows("one line", (rows) => rows.length === 1);
  await log.press("1");
  await log.shows("all lines", (rows) => rows.length > 10 && rows.at(-1)?.text === "last");
  await until("the bar is at its end", left, (left) => left < 1);
});

sees(
  "the key for the next line brings a line that is cut at the top into view, and nothing jumps",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("window", "window-cut", "seq 1 2000");
    const log = await LogPage.open(page, server, "window-cut", "#L1000");
    await log.showsLine(1000, "1000");
    await log.press("Escape");
    await log.wheel(1_005);
    const [first] = await log.atRest();
    assert.ok(first && first.sequence > 1_000);
    const above = () =>
      log.row(first.sequence).evaluate((row) => {
        const frame = row.closest(".log-window")?.getBoundingClientRect();
        return (frame?.top ?? 0) - row.getBoundingClientRect().top;
      });
    assert.ok((await above()) > 1, `it is cut by ${await above()}`);
    await log.press("j");
    await log.isCurrent(first.sequence);
    await until("its top", above, (above) => Math.abs(above) < 1);
    await log.press("j");
    await log.isCurrent(first.sequence + 1);
    assert.ok(Math.abs(await above()) < 1, "what is seen whole stays where it is");
  },
);

sees(
  "a line that is looked at near the end of the window is followed no further than it must where that shrinks",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("window", "window-near", "seq 1 2000");
    const log = await LogPage.open(page, server, "window-near", "#L1000");
    await log.showsLine(1000, "1000");
    const before = await log.atRest();
    const looked = before.at(-2)?.sequence ?? 0;
    await log.row(looked).locator(".log-number").click();
    await log.press("Escape");
    await log.part("chosen").waitFor({ state: "detached" });
    await log.atRest();
    await page.setViewportSize({ width: 1000, height: 740 });
    const after = await log.shows("the line", (rows) => rows.at(-1)?.sequence !== before.at(-1)?.sequence);
    await log.showsLine(looked);
    const by = ((await log.atRest())[0]?.sequence ?? 0) - (before[0]?.sequence ?? 0);
    assert.ok(by >= 0 && by < 6, `it went on by ${by} lines, of ${after.length}`);
  },
);
