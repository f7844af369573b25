/** What a log's lines look like: times, streams, colours, links, progress, width. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

sees("times are shown absolute in local time or UTC, since the start, and since the line before", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("lines", "lines-times");
  agent.says("one");
  await agent.sent(1);
  agent.does("sleep 1.2; echo two");
  await agent.done();
  const log = await LogPage.open(page, server, "lines-times");
  const times = async (pattern: RegExp) => {
    const rows = await log.shows(
      `times like ${pattern}`,
      (rows) => rows.length >= 2 && rows.every(({ time }) => pattern.test(time)),
    );
    return rows.map(({ time }) => time);
  };
  await times(/^$/);
  await log.press("t");
  const [local] = await times(/^\d\d:\d\d:\d\d\.\d{3}$/);
  await log.press("U");
  const moved = (time: string) => Math.abs(Number(time.slice(0, 2)) - Number(local?.slice(0, 2)));
  // The person of these tests is in Seoul, nine hours ahead.
  await log.shows("times in UTC", (rows) => [9, 15].includes(moved(rows[0]?.time ?? "")));
  await log.press("t");
  const relative = (await times(/^[−]?\d+\.\d{3}$/)).map((time) => Number(time.replace("−", "-")));
  const apart = (relative[1] ?? 0) - (relative[0] ?? 0);
  assert.ok(apart >= 1.15, `they are apart: ${relative}`);
  await log.press("t");
  const second = await log.shows("deltas", (rows) => /^\+\d+\.\d{3}$/.test(rows[1]?.time ?? ""));
  assert.ok(Math.abs(Number(second[1]?.time.slice(1)) - apart) < 0.002, second[1]?.time);
  await page.reload();
  await log.shows("deltas after a reload", (rows) => rows[1]?.time === second[1]?.time);
  await log.part("times").click();
  await times(/^$/);
});

sees("stdout and stderr are told apart, and each can be hidden and shown", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("lines", "lines-streams");
  for (const [at, line] of ["echo out-1", "echo err-1 >&2", "echo out-2", "echo err-2 >&2"].entries()) {
    agent.does(line);
    await agent.sent(at + 1);
  }
  await agent.done();
  const log = await LogPage.open(page, server, "lines-streams");
  const texts = (...expected: string[]) =>
    log.shows(expected.join(", "), (rows) => JSON.stringify(rows.map(({ text }) => text)) === JSON.stringify(expected));
  const rows = await texts("out-1", "err-1", "out-2", "err-2");
  assert.deepEqual(
    rows.map(({ stream }) => stream),
    ["", "err", "", "err"],
  );
  await log.part("stream-stdout").click();
  const errors = await texts("err-1", "err-2");
  assert.deepEqual(
    errors.map(({ sequence }) => sequence),
    [2, 4],
    "lines keep their numbers",
  );
  await log.press("1");
  await texts("out-1", "err-1", "out-2", "err-2");
  await log.press("2");
  await texts("out-1", "out-2");
  await log.part("stream-stderr").click();
  await texts("out-1", "err-1", "out-2", "err-2");
});

sees("colours of 16, of 256 and true ones, bold and underlined text are as the command asked", async ({ page }) => {
  const server = await ingest();
  const script = String.raw`printf 'plain\n\033[31mred\033[0m\n\033[38;5;208morange\033[0m\n\033[48;2;10;20;200mblue\033[0m\n\033[1;4mloud\033[0m\n\033[32mgreen\ngoes on\033[0m\n'`;
  await server.ran("lines", "lines-colours", script);
  const log = await LogPage.open(page, server, "lines-colours");
  await log.showsLine(1, "plain");
  await log.showsLine(7, "goes on");
  const style = (sequence: number, property: string) =>
    log
      .text(sequence)
      .evaluate(
        (text, property) => getComputedStyle(text.querySelector("span") ?? text).getPropertyValue(property),
        property,
      );
  const plain = await style(1, "color");
  const red = await style(2, "color");
  assert.notEqual(red, plain);
  assert.notEqual(await style(3, "color"), plain);
  assert.notEqual(await style(3, "color"), red);
  assert.equal(await style(4, "background-color"), "rgb(10, 20, 200)");
  assert.ok(Number(await style(5, "font-weight")) >= 600);
  assert.match(await style(5, "text-decoration-line"), /underline/);
  await until(
    "the colour goes on",
    () => style(7, "color"),
    (colour) => colour !== plain,
  );
  assert.equal(await style(7, "color"), await style(6, "color"));
});

sees("a colour that was begun long before is that of the line a link leads to", async ({ page }) => {
  const server = await ingest();
  await server.ran("lines", "lines-long-colour", String.raw`printf '\033[32m'; seq 1 3000; printf '\033[0mplain\n'`);
  const log = await LogPage.open(page, server, "lines-long-colour", "#L2500");
  await log.showsLine(2500, "2500");
  const colour = (sequence: number) =>
    log.text(sequence).evaluate((text) => getComputedStyle(text.querySelector("span") ?? text).color);
  const green = await until(
    "the line is green",
    () => colour(2500),
    (seen) => !/^rgb\((\d+), \1, \1\)$/.test(seen),
  );
  await log.press("G");
  await log.showsLine(3001, "plain");
  assert.notEqual(await colour(3001), green);
});

sees("links of the command can be pressed, and lead nowhere but to the web", async ({ page }) => {
  const server = await ingest();
  const link = (target: string, text: string) => String.raw`\033]8;;${target}\033\\${text}\033]8;;\033\\\n`;
  const script = `printf '${link("https://example.com/report?a=1", "the report")}${link("javascript:alert(1)", "a trap")}${link("file:///etc/passwd", "a file")}'`;
  await server.ran("lines", "lines-links", script);
  const log = await LogPage.open(page, server, "lines-links");
  await log.showsLine(1, "the report");
  const anchor = log.text(1).locator("a");
  assert.equal(await anchor.getAttribute("href"), "https://example.com/report?a=1");
  assert.match((await anchor.getAttribute("rel")) ?? "", /noopener/);
  await log.showsLine(2, "a trap");
  await log.showsLine(3, "a file");
  assert.equal(await log.text(2).locator("a").count(), 0);
  assert.equal(await log.text(3).locator("a").count(), 0);
});

sees("progress shows its last state, and keeps the ones before for whoever asks", async ({ page }) => {
  const server = await ingest();
  await server.ran("lines", "lines-progress", String.raw`printf 'pull: 10%%\rpull: 50%%\rpull: done\nnext\n'`);
  const log = await LogPage.open(page, server, "lines-progress");
  await log.showsLine(2, "next");
  assert.match((await log.text(1).innerText()).trim(), /^pull: done\s*2 earlier states$/);
  await log.text(1).getByRole("button").click();
  await until(
    "the history",
    () => log.text(1).innerText(),
    (text) => text.includes("pull: 10%") && text.includes("pull: 50%"),
  );
  await log.text(1).getByRole("button").click();
  await until(
    "no history",
    () => log.text(1).innerText(),
    (text) => !text.includes("pull: 10%"),
  );
});

sees("long lines are wrapped or not, as somebody wants", async ({ page }) => {
  const server = await ingest();
  await server.ran("lines", "lines-wrap", `seq 1 30; seq -s ' ' 1 400; echo end`);
  const log = await LogPage.open(page, server, "lines-wrap");
  await log.showsLine(32, "end");
  const height = async () => (await log.row(31).boundingBox())?.height ?? 0;
  const sideways = () => log.root.locator(".log-window").evaluate((window) => window.scrollWidth - window.clientWidth);
  assert.ok((await height()) > 60, "it takes several lines");
  assert.ok((await sideways()) <= 1);
  await log.press("w");
  await until("one line", height, (height) => height < 30);
  await until("there is more to the side", sideways, (pixels) => pixels > 100);
  await log.showsLine(32, "end");
  await log.part("wrap").click();
  await until("several lines", height, (height) => height > 60);
});

sees("a very long line shows its beginning, and more for each press", async ({ page }) => {
  const server = await ingest();
  const script = "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end";
  await server.ran("lines", "lines-more", script, "--max-line", "1MiB");
  const log = await LogPage.open(page, server, "lines-more");
  await log.showsLine(2, "end");
  await log.press("g");
  const button = log.text(1).getByRole("button", { name: /Show more/ });
  await button.click();
  const characters = () => log.text(1).evaluate((text) => (text.textContent ?? "").match(/x/g)?.length ?? 0);
  await until("more of it", characters, (count) => count > 60_000 && count < 100_000);
  const pressed = () => button.evaluate((element) => element === document.activeElement);
  assert.ok(await pressed(), "keys stay on the button for what is still left");
  await page.keyboard.press("Enter");
  await until("still more of it", characters, (count) => count > 100_000 && count < 200_000);
  await page.keyboard.press("Enter");
  await until("all of it", characters, (count) => count === 200_000);
  assert.ok(await log.root.evaluate((root) => root.contains(document.activeElement)), "and in the log in the end");
});

sees("lines that are not wrapped are scrolled to the side by key", async ({ page }) => {
  const server = await ingest();
  const long = "echo https://example.com/; printf 'wide-%.0s' $(seq 1 2000); echo end";
  await server.ran("lines", "lines-sideways", long);
  const log = await LogPage.open(page, server, "lines-sideways");
  await log.showsLine(1, "https://example.com/");
  await log.press("w");
  await log.isPressed("wrap", false);
  const left = () => log.root.locator(".log-window").evaluate((window) => window.scrollLeft);
  await log.scroller.focus();
  await log.press("ArrowRight");
  const step = await until("a step to the right", left, (seen) => seen > 0);
  await log.press("Shift+ArrowRight");
  await until("a page to the right", left, (seen) => seen > step + 500);
  await log.press("Shift+ArrowLeft", "ArrowLeft");
  await until("back at the left", left, (seen) => seen === 0);
});
