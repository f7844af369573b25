/** Long logs of which only some streams are shown. */

import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import type { Agent } from "./ingest.js";
import { LogPage, type Row } from "./log.js";
import { frames } from "./told.js";
import { until } from "./wait.js";

/** 20 times a thousand lines of stdout and three of stderr. They come through two pipes: only a pause tells their order. */
const SCRIPT = [
  "for n in $(seq 20); do seq $((n * 1000 - 999)) $((n * 1000)); sleep 0.1",
  "for i in 1 2 3; do echo $n-$i >&2; done; sleep 0.1; done",
].join("; ");

/** A folded group with one line of stderr in it, and an open one. */
const GROUP: Step[] = [
  ["echo '--- install'; seq 2 50", 50],
  ["echo 'in group' >&2", 51],
  ["echo '+++ open'; seq 99", 151],
];

/** What a worker does, and how many lines there are then. */
type Step = readonly [script: string, lines: number];

/** One after the other: what is written to two pipes at once comes in any order. */
async function writes(agent: Agent, ...steps: Step[]): Promise<void> {
  for (const [script, lines] of steps) {
    agent.does(script);
    await agent.sent(lines);
  }
}

/** Lines that may be between two of stderr. */
const NEAR = 1_500;

/** What a worker of this name has written, each number in its own line. */
async function mixed(page: Page, worker: string, rest: string): Promise<LogPage> {
  const server = await ingest();
  await server.ran("filter", worker, SCRIPT);
  const log = await LogPage.open(page, server, worker, rest);
  await log.shows("a chosen line", (rows) => rows.some(({ classes }) => classes.includes("log-selected")));
  return log;
}

sees("who hides a stream stays where he was, and comes back to it", async ({ page }) => {
  const log = await mixed(page, "filter-place", "#L6345");
  const near = (line: number, most: number) =>
    log.shows(`lines near ${line}`, (rows) => {
      const [first] = rows;
      return first !== undefined && first.text !== "…" && Math.abs(first.sequence - line) <= most;
    });
  await near(6_345, 60);
  // What is at the top stays there from when somebody scrolls; before, it is the line of the link that stays.
  const [before = 0] = await log.sequences();
  await log.wheel(100);
  const [{ sequence: top } = { sequence: 0 }] = await log.shows("lines further down", ([first]) =>
    first ? first.sequence > before : false,
  );
  await log.press("1");
  await log.shows("stderr alone", (rows) => rows.length > 1 && rows.every(({ stream }) => stream === "err"));
  await near(top, NEAR);
  await log.press("1");
  await log.shows("stdout again", (rows) => rows.some(({ stream }) => stream === ""));
  await near(top, NEAR);
});

sees("a link to a line of a hidden stream shows that stream, and a search keeps to those shown", async ({ page }) => {
  const log = await mixed(page, "filter-link", "#L15000");
  await log.press("1");
  await log.shows("stderr alone", (rows) => rows.length > 1 && rows.every(({ stream }) => stream === "err"));
  await log.press("/");
  await page.keyboard.type("7");
  await until(
    "the count of matches",
    () => log.part("find-count").innerText(),
    (seen) => /^\d+ of \d+$/.test(seen),
  );
  await log.press("Enter", "Enter", "Escape");
  await log.isPressed("stream-stdout", false);
  await log.shows("a match of stderr among its like", (rows) => {
    const match = rows.find(({ classes }) => classes.includes("log-current"));
    return match?.text.includes("7") === true && rows.every(({ stream }) => stream === "err");
  });
  await page.evaluate(() => {
    location.hash = `${location.hash.replace(/#L.*|\?.*/, "")}#L4321`;
  });
  await log.showsLine(4_321);
  await log.isPressed("stream-stdout");
  await log.isPressed("stream-stderr");
});

sees("of lines that come only those count as new that are shown", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("filter", "filter-new");
  agent.does("seq 1 200; sleep 0.1; seq 201 300 >&2");
  await agent.sent(300);
  const log = await LogPage.open(page, server, "filter-new");
  await log.press("1");
  await log.shows("stderr alone", (rows) => rows.length > 1 && rows.every(({ stream }) => stream === "err"));
  await log.wheel(-500);
  await log.isPressed("follow", false);
  agent.does("seq 301 400; sleep 0.1; echo one >&2; echo two >&2; sleep 0.1; seq 403 500");
  await agent.sent(500);
  await until(
    "two new lines",
    () => log.part("new-lines").innerText(),
    (text) => /^2 new lines/.test(text),
  );
  await log.press("1");
  await until(
    "all new lines",
    () => log.part("new-lines").innerText(),
    (text) => /^200 new lines/.test(text),
  );
  await agent.done();
});

sees("who hides a stream and is left with a few lines comes back to where he was", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("filter", "filter-few");
  await writes(agent, ["echo one >&2", 1], ["seq 2 5000", 5_000], ["echo last >&2", 5_001]);
  await agent.done();
  const log = await LogPage.open(page, server, "filter-few", "#L2500");
  await log.showsLine(2500, "2500");
  await log.wheel(-2_000);
  const [before] = await log.atRest();
  const isTop = (sequence: number) =>
    log.shows(`line ${sequence} at the top`, ([first]) => first?.sequence === sequence);
  await log.press("1");
  await log.shows("two lines", (rows) => rows.length === 2);
  await log.press("1");
  await isTop(before?.sequence ?? 0);
  await log.press("1");
  await log.shows("two lines", (rows) => rows.length === 2);
  await log.press("g", "1");
  await isTop(1);
});

sees("whoever does not follow stays where he is when a stream has been hidden and shown again", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("filter", "filter-still");
  agent.does("seq 1 300; echo one >&2");
  await agent.sent(301);
  const log = await LogPage.open(page, server, "filter-still");
  await log.showsLine(301);
  await log.press("f");
  await log.isPressed("follow", false);
  const before = await log.sequences();
  const isSame = () =>
    until(
      "the same lines",
      () => log.sequences(),
      (seen) => JSON.stringify(seen) === JSON.stringify(before),
    );
  const counts = async (lines: number) => {
    await until(
      `${lines} new lines`,
      () => log.part("new-lines").innerText(),
      (text) => text.startsWith(`${lines} new lines`),
    );
  };
  await log.press("1");
  await log.shows("one line", (rows) => rows.length === 1);
  agent.does("seq 302 400");
  await agent.sent(400);
  await log.press("1");
  await counts(99);
  await isSame();
  agent.does("seq 401 420");
  await counts(119);
  await isSame();
  await agent.done();
});

sees(
  "lines of a stream that is shown alone are seen also where a group is folded whose heading is not",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("filter", "filter-group");
    await writes(agent, ...GROUP, ["echo last >&2", 152]);
    await agent.done();
    const log = await LogPage.open(page, server, "filter-group");
    // Nothing of it is in sight before it is known.
    await log.part("fold-all").waitFor();
    await log.press("g");
    await log.shows("a folded group", (rows) => rows[0]?.sequence === 1 && rows[1]?.sequence === 52);
    const texts = (what: string, ...expected: string[]) =>
      log.shows(what, (rows) => JSON.stringify(rows.map(({ text }) => text)) === JSON.stringify(expected));
    await log.press("1");
    await texts("all of stderr", "in group", "last");
    await log.press("1");
    await log.shows("a folded group again", (rows) => rows[0]?.sequence === 1 && rows[1]?.sequence === 52);
  },
);

sees(
  "a group stays folded whose lines are seen while a stream is shown alone, also where the log grows",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("filter", "filter-grown");
    await writes(agent, ...GROUP);
    const log = await LogPage.open(page, server, "filter-grown");
    await log.part("fold-all").waitFor();
    await log.press("g");
    const isFolded = (rows: Row[]) => rows[0]?.sequence === 1 && rows[1]?.sequence === 52;
    await log.shows("a folded group", isFolded);
    await log.press("1");
    await log.shows("one line", (rows) => rows.length === 1);
    // Until the whole log has been looked at anew.
    const looked = page.waitForResponse(
      async (response) => response.url().endsWith("/outline") && /"last_sequence":15[2-9]/.test(await response.text()),
    );
    agent.says("152");
    await looked;
    await frames(page);
    await log.press("1");
    await log.shows("a folded group again", isFolded);
    await agent.done();
  },
);
