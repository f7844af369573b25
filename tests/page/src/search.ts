/** Search in the whole log. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** 5,000 lines, a few of which have something to find, far from each other. */
const SCRIPT = [
  "seq 1 999",
  "echo 'needle here'",
  "seq 1001 2999",
  String.raw`printf '\033[31mNee\033[0mdle there\n'`,
  "seq 3001 4499",
  "echo 'a[0] needle'",
  "seq 4501 5000",
].join("; ");

async function opened(page: Page, worker: string): Promise<LogPage> {
  const server = await ingest();
  await server.ran("search", worker, SCRIPT);
  const log = await LogPage.open(page, server, worker);
  await log.showsLine(5000);
  await log.press("g");
  await log.showsLine(1, "1");
  await log.press("/");
  await log.part("find-field").waitFor();
  return log;
}

async function counts(log: LogPage, text: string): Promise<void> {
  await until(
    "the count of matches",
    () => log.part("find-count").innerText(),
    (seen) => seen === text,
  );
}

sees(
  "a search finds in the whole log, leads from match to match by key, and goes on from the other end",
  async ({ page }) => {
    const log = await opened(page, "search-plain");
    await page.keyboard.type("needle");
    await counts(log, "1 of 3");
    await log.showsLine(1000, "needle here");
    assert.equal(await log.row(1000).locator("mark").innerText(), "needle");
    await log.press("Enter");
    await log.showsLine(3000, "Needle there");
    await counts(log, "2 of 3");
    await log.press("Enter");
    await log.showsLine(4500);
    await log.press("Enter");
    await page.getByText("Search goes on from the other end").waitFor();
    await log.showsLine(1000);
    await log.press("Shift+Enter");
    await log.showsLine(4500);
    await until(
      "marks beside the bar",
      () => log.root.locator('[data-mark="hit"]').count(),
      (count) => count === 3,
    );
    await log.scroller.click();
    await log.press("n");
    await log.showsLine(1000);
    await log.press("n");
    await log.showsLine(3000);
    await log.press("N");
    await log.showsLine(1000);
  },
);

sees("a search minds case where somebody wants that", async ({ page }) => {
  const log = await opened(page, "search-case");
  await page.keyboard.type("Needle");
  await counts(log, "1 of 3");
  await log.part("find-case").click();
  await counts(log, "1 of 1");
  await log.showsLine(3000, "Needle there");
});

sees("a search takes a text as it is, and a pattern where somebody wants that", async ({ page }) => {
  const log = await opened(page, "search-regex");
  await page.keyboard.type("[0]");
  await counts(log, "1 of 1");
  await log.showsLine(4500, "a[0] needle");
  await log.part("find-regex").click();
  await log.part("find-field").fill("^needle here$|needle$");
  await until(
    "two matches",
    () => log.part("find-count").innerText(),
    (text) => / of 2$/.test(text),
  );
});

sees("what a search has found is marked in its lines, and where it cannot be, that is said", async ({ page }) => {
  const server = await ingest();
  const far = "printf 'x%.0s' $(seq 1 6000); echo ' needle'";
  const script = String.raw`echo 'Error and error'; printf 'needle 1%%\rdone\n'; ${far}; printf '\033[31mtook\033[0m 12 ms, 345 ms\n'`;
  await server.ran("search", "search-marked", script);
  const log = await LogPage.open(page, server, "search-marked");
  await log.showsLine(1, "Error and error");
  const marks = (sequence: number, ...expected: string[]) =>
    until(
      `marked are ${expected} in ${sequence}`,
      () => log.row(sequence).locator("mark").allInnerTexts(),
      (seen) => JSON.stringify(seen) === JSON.stringify(expected),
    );
  await log.press("/");
  await page.keyboard.type("Error");
  await marks(1, "Error", "error");
  await log.part("find-case").click();
  await marks(1, "Error");
  await log.part("find-field").fill("needle");
  await log.row(2).getByText("match not shown").waitFor();
  await log.row(3).getByText("match not shown").waitFor();
  await log.row(2).locator('[data-action="history"]').click();
  await marks(2, "needle");
  await log.row(3).locator('[data-action="more"]').click();
  await marks(3, "needle");
  await log.part("find-regex").click();
  await log.part("find-field").fill(String.raw`k \d+|\d+ ms`);
  await marks(4, "k", " 12", "345 ms");
  assert.equal(await log.row(4).getByText("match not shown").count(), 0);
});

sees("a pattern that is none is said to be none, with the reason, and the next one works", async ({ page }) => {
  const log = await opened(page, "search-bad");
  await log.part("find-regex").click();
  await log.part("find-field").fill("a(b");
  const error = log.part("find-error");
  await error.waitFor();
  assert.match(await error.innerText(), /unclosed group/i);
  await log.part("find-field").fill("a(b)?");
  await error.waitFor({ state: "detached" });
});

sees("what is nowhere in the log is said to be nowhere, and Escape ends the search", async ({ page }) => {
  const log = await opened(page, "search-none");
  await page.keyboard.type("haystack");
  await counts(log, "No match");
  await log.press("Escape");
  await log.part("find-field").waitFor({ state: "detached" });
  await log.press("G");
  await log.showsLine(5000);
});

sees("a pattern that is slow elsewhere has its answer at once", async ({ page }) => {
  const log = await opened(page, "search-slow");
  await log.part("find-regex").click();
  await log.part("find-field").fill("(x+x+)+y|(a|aa)+$z");
  await counts(log, "No match");
});

sees("another word is looked for from where the person has gone since", async ({ page }) => {
  const log = await opened(page, "search-from");
  await page.keyboard.type("needle");
  await log.isCurrent(1000);
  await log.press("Enter");
  await log.isCurrent(3000);
  await log.part("find-field").fill("1");
  await log.isCurrent(3001);
  await log.scroller.focus();
  await log.press("G");
  await log.showsLine(5000);
  const [top] = await log.atRest();
  await log.press("/");
  await page.keyboard.type("9");
  const first = Array.from({ length: 100 }, (_, at) => (top?.sequence ?? 0) + at).find((line) =>
    /9/.test(String(line)),
  );
  await log.isCurrent(first ?? 0);
});

sees(
  "a match far to the side of a line that is not wrapped is brought into view, and so is the next",
  async ({ page }) => {
    const server = await ingest();
    const far = "printf 'x%.0s' $(seq 1 900); echo ' needle'";
    await server.ran("search", "search-aside", `echo needle; ${far}; seq 3 50; ${far}; echo needle`);
    const log = await LogPage.open(page, server, "search-aside");
    await log.showsLine(52);
    await log.press("w", "g", "/");
    await page.keyboard.type("needle");
    const isSeen = (sequence: number) =>
      until(
        `the match in line ${sequence}`,
        () =>
          log.row(sequence).evaluate((row) => {
            const [mark, number] = [row.querySelector("mark"), row.querySelector(".log-number")];
            const window = row.closest(".log-window");
            if (!mark || !number || !window) return false;
            const { left, right } = mark.getBoundingClientRect();
            return left >= number.getBoundingClientRect().right && right <= window.getBoundingClientRect().right;
          }),
        (seen) => seen,
      );
    for (const line of [1, 2, 51, 52, 1]) {
      await log.isCurrent(line);
      await isSeen(line);
      await log.press("Enter");
    }
  },
);

sees("whoever only leaves the field of a search and comes back searches from where he was", async ({ page }) => {
  const log = await opened(page, "search-back");
  await page.keyboard.type("needle");
  await log.isCurrent(1000);
  await log.part("find-case").click();
  await log.part("find-field").click();
  await log.part("find-field").fill("50");
  await log.isCurrent(50);
  await log.scroller.click({ position: { x: 500, y: 5 } });
  await log.press("n");
  await log.isCurrent(150);
  await log.press("/");
  await log.part("find-field").fill("7");
  await log.isCurrent(157);
});

sees("Escape ends a search from its buttons as well, and whoever was there is in the log then", async ({ page }) => {
  const log = await opened(page, "search-escape");
  await log.part("find-case").click();
  await log.press("Escape");
  await log.part("find-field").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("role")), "log");
});

sees("a search in a log that is followed begins at what is seen then", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("search", "search-followed");
  agent.does("seq 1 100");
  await agent.sent(100);
  const log = await LogPage.open(page, server, "search-followed");
  await log.showsLine(100);
  await log.press("/");
  await log.part("find-field").waitFor();
  agent.does("seq 101 3000");
  await log.showsLine(3000);
  await log.atRest();
  const [top] = await log.rows();
  await page.keyboard.type("9");
  const first = Array.from({ length: 100 }, (_, at) => (top?.sequence ?? 0) + at).find((line) =>
    /9/.test(String(line)),
  );
  await log.isCurrent(first ?? 0);
  await agent.done();
});

sees(
  "a match far down in a line that is higher than the window is brought into view",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("search", "search-below", "seq 1 50; printf 'x%.0s' $(seq 1 3900); echo ' needle'; seq 52 100");
    const log = await LogPage.open(page, server, "search-below");
    await log.showsLine(100);
    await log.press("/");
    await page.keyboard.type("needle");
    await log.isCurrent(51);
    await until("the match", () =>
      log.row(51).evaluate((row) => {
        const [mark, window] = [row.querySelector("mark"), row.closest(".log-window")];
        if (!mark || !window) return false;
        const [match, frame] = [mark.getBoundingClientRect(), window.getBoundingClientRect()];
        return match.top >= frame.top && match.bottom <= frame.bottom + 1;
      }),
    );
  },
  { viewport: { width: 360, height: 560 } },
);
