/** Where a log opens, and the way to a line of it. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { holdBack } from "./held.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

sees("a log that is running opens at its end and follows", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("opening", "opening-running");
  agent.does("seq 1 500");
  await agent.sent(500);
  const log = await LogPage.open(page, server, "opening-running");
  await log.showsLine(500, "500");
  await log.isPressed("follow");
  agent.does("seq 501 600");
  await log.showsLine(600, "600");
  await agent.done();
});

sees("a log that failed opens at its first failure", async ({ page }) => {
  const server = await ingest();
  const script = "seq 1 400; echo 'error: it broke'; seq 402 900; exit 3";
  assert.equal((await server.ran("opening", "opening-failed", script)).exit_code, 3);
  const log = await LogPage.open(page, server, "opening-failed");
  const rows = await log.shows("where it failed", (rows) => rows.some((row) => row.text === "error: it broke"));
  assert.ok(rows.some((row) => row.text === "396") && rows.some((row) => row.text === "406"), "with what is around it");
  assert.ok((await log.part("failure").count()) > 0, "there is a button for it");
});

sees("a log that went well opens at its end", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-well", "seq 1 700");
  const log = await LogPage.open(page, server, "opening-well");
  await log.showsLine(700, "700");
});

sees("a link to lines opens the log there and marks them, after a reload as well", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-linked", "seq 1 2000");
  const log = await LogPage.open(page, server, "opening-linked", "#L1200-L1203");
  for (const look of ["first", "again"]) {
    const rows = await log.shows(`the lines of the link, ${look}`, (rows) => rows.some((row) => row.text === "1203"));
    const marked = rows.filter((row) => row.classes.includes("log-selected")).map((row) => row.sequence);
    assert.deepEqual(marked, [1200, 1201, 1202, 1203]);
    const above = rows.filter((row) => row.sequence < 1200).length;
    assert.ok(above >= 5 && above < rows.length / 2, `what led to them is seen, too: ${above} of ${rows.length} rows`);
    await page.reload();
  }
});

sees("a link beyond the end of a log says so, and copies nothing", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-beyond", "seq 1 700");
  const log = await LogPage.open(page, server, "opening-beyond", "#L9000");
  const says = page.getByText("There is no line 9,000: the log ends with line 700");
  await says.waitFor();
  await log.showsLine(700, "700");
  await says.waitFor({ state: "hidden" });
  await log.part("copy-text").click();
  await says.waitFor();
});

sees(
  "a link to a line that has not come leads there once it comes, unless somebody goes elsewhere",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("opening", "opening-awaited");
    agent.does("seq 1 500");
    await agent.sent(500);
    const log = await LogPage.open(page, server, "opening-awaited", "#L600");
    await page.getByText("Line 600 has not come yet").waitFor();
    await log.showsLine(500, "500");
    await page.reload();
    await page.getByText("Line 600 has not come yet").waitFor();
    await log.showsLine(500, "500");
    agent.does("seq 501 1500");
    await log.showsLine(600, "600");
    await agent.sent(1500);
    await log.part("new-lines").waitFor();
    assert.ok(
      (await log.atRest()).some(({ sequence }) => sequence === 600),
      "it stays there",
    );
    await page.goto(server.url("/#/workers/opening-awaited#L1600"));
    await page.getByText("Line 1,600 has not come yet").waitFor();
    await log.wheel(-2_000);
    const before = (await log.atRest())[0]?.sequence;
    agent.does("seq 1501 2000");
    await agent.sent(2000);
    await log.part("new-lines").waitFor();
    assert.equal((await log.atRest())[0]?.sequence, before);
    await agent.done();
  },
);

sees("Back, a reload and another tab come back to where a log was left, and a link does not", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening-left", "opening-left-0", "seq 1 2000");
  await server.ran("opening-left", "opening-left-1", "exit 1");
  const log = new LogPage(page, "opening-left-0");
  /** Scrolls up; the line at the top. */
  const scrolled = async () => {
    await log.wheel(-6_000);
    return (await log.atRest())[0]?.sequence;
  };
  /** Nobody types an address so quickly that it is not remembered before where the log is. */
  const remembered = async (top?: number) => {
    const kept = () => page.evaluate((): string => JSON.stringify(history.state));
    await until("the place is kept", kept, (state) => state.includes(`"top":${top},`));
  };
  const isAt = (top?: number) => log.shows(`line ${top} at the top`, ([first]) => first?.sequence === top);
  await LogPage.open(page, server, "opening-left-0");
  await log.showsLine(2000);
  const first = await scrolled();
  await log.press("u");
  await page.getByRole("tab").first().waitFor();
  await page.goBack();
  await isAt(first);
  await page.reload();
  await isAt(first);
  await log.press("u");
  await page.getByRole("tab").first().click();
  await log.showsLine(2000);
  const second = await scrolled();
  await log.press("l");
  await page.locator('.log[data-worker="opening-left-1"]').waitFor();
  await log.press("h");
  await isAt(second);
  await LogPage.open(page, server, "opening-left-0", "#L700");
  await log.showsLine(700, "700");
  // Within the same log.
  const third = await scrolled();
  await remembered(third);
  await page.goto(server.url("/#/workers/opening-left-0#L1500"));
  await log.showsLine(1500, "1500");
  const fourth = await scrolled();
  await remembered(fourth);
  await page.goBack();
  await isAt(third);
  await page.goForward();
  await isAt(fourth);
});

sees(
  "keys that are held choose line after line, also where the browser takes no more addresses for now",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("opening", "opening-held", "seq 1 400");
    await page.addInitScript(() => {
      const replace = history.replaceState.bind(history);
      let left = 10;
      history.replaceState = (...to) => {
        if (left === 0) throw new DOMException("too many", "SecurityError");
        left -= 1;
        setTimeout(() => {
          left += 1;
        }, 3_000);
        replace(...to);
      };
    });
    const log = await LogPage.open(page, server, "opening-held", "#L1");
    await log.showsLine(1, "1");
    for (let line = 2; line <= 150; line += 1) await log.press("j");
    await log.showsLine(150, "150");
    await page.waitForURL(/line=150$/);
  },
);

sees("a key leads from failure to failure, and says where there is none further on", async ({ page }) => {
  const server = await ingest();
  const script = "seq 1 99; echo '::error::first'; seq 101 299; echo '::error::second'; seq 301 600; exit 1";
  await server.ran("opening", "opening-failures", script);
  const log = await LogPage.open(page, server, "opening-failures");
  await log.showsLine(100);
  await log.press("e");
  await log.showsLine(300);
  await log.press("e");
  await page.getByText("No failure further down").waitFor();
  await log.part("failure").click();
  await log.showsLine(100);
});

sees("a log is scrolled by the browser's own keys, right after it was jumped to as well", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening", "opening-keys", "seq 1 2000");
  const log = await LogPage.open(page, server, "opening-keys");
  await log.showsLine(2000);
  await log.scroller.focus();
  await log.press("g");
  await log.showsLine(1, "1");
  await log.press("PageDown");
  await log.shows("the next page", (rows) => (rows[0]?.sequence ?? 0) > 20);
  await log.press("ArrowUp", "ArrowUp", "PageUp");
  await log.showsLine(1, "1");
});

for (const [where, rest, first, line] of [
  ["at its end", "", "?from=-128&limit=128", 3_000],
  ["at a linked line", "#L700", "?from=636&limit=128", 700],
] as const) {
  sees(`the lines of a log that opens ${where} are asked for at once, and none twice`, async ({ page }) => {
    const server = await ingest();
    const worker = `opening-early-${line}`;
    await server.ran("opening", worker, "seq 1 3000");
    const asked: URL[] = [];
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.pathname.endsWith(`/${worker}/logs`)) asked.push(url);
    });
    const log = await LogPage.open(page, server, worker, rest);
    await log.showsLine(line, String(line));
    assert.equal(asked[0]?.search, first);
    await log.press("g");
    await log.showsLine(1, "1");
    const lines = asked.flatMap(({ searchParams }) => {
      const [from, limit] = [Number(searchParams.get("from")), Number(searchParams.get("limit"))];
      return Array.from({ length: limit }, (_, at) => (from < 0 ? 3_001 + from : from) + at);
    });
    assert.equal(new Set(lines).size, lines.length, asked.map(({ search }) => search).join(" "));
  });
}

sees("keys that are pressed before anything is known of a log lead where they say", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("opening", "opening-quick");
  agent.does("seq 1 500");
  await agent.sent(500);
  // Nothing is answered until the keys have been pressed.
  const answer = await holdBack(page, "**/api/v1/**");
  await page.goto(server.url("/#/workers/opening-quick"));
  await page.locator(".log").waitFor();
  await page.keyboard.press("g");
  answer();
  const log = new LogPage(page);
  await log.showsLine(1, "1");
  await log.isPressed("follow", false);
  await log.press("f");
  await log.showsLine(500, "500");
  await log.isPressed("follow");
  await agent.done();
});

sees("a link to a line of a task's failed worker stays there", async ({ page }) => {
  const server = await ingest();
  await server.ran("opening-task", "opening-task-0", "seq 1 2000; exit 1");
  // How the log failed is told long after the line is shown.
  const tell = await holdBack(page, "**/outline");
  await page.goto(server.url("/#/tasks/opening-task?w=opening-task-0&line=700"));
  const log = new LogPage(page);
  await log.showsLine(700, "700");
  await log.shows("all lines", (rows) => rows.every(({ text }) => text !== "…"));
  const before = await log.atRest();
  // As long as a failed log waits to be told where it failed, and half as long again.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 225)));
  const told = page.waitForResponse(/outline/);
  tell();
  await told;
  assert.deepEqual(await log.atRest(), before);
});

/** What the browser says of things that moved without anybody's doing (the Layout Instability API). */
interface Shift extends PerformanceEntry {
  readonly value: number;
  readonly sources: readonly { node: Node | null }[];
}

/** Has the page write down all that moves in it. */
function watchShifts(): void {
  const shifts: string[] = [];
  Object.assign(globalThis, { shifts });
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries() as Shift[]) {
      const moved = sources.map(({ node }) => (node instanceof Element ? node.className : node?.nodeName));
      // The name of a worker's task comes with its first answer, and stands before the worker's own in the head.
      if (value > 0.001) shifts.push(`${value.toFixed(4)}: ${moved.join(", ")}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** What has moved, ten frames on: the browser tells of it after the frame. */
async function shiftsSoFar(): Promise<string[]> {
  for (let frame = 0; frame < 10; frame += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  return (globalThis as unknown as { shifts: string[] }).shifts;
}

for (const [view, path] of [
  ["the list of tasks", "/"],
  ["a task", "/#/tasks/opening-still"],
  ["a worker's log", "/#/workers/opening-still-0"],
] as const) {
  sees(`nothing of ${view} moves once it can be seen`, async ({ page }) => {
    const server = await ingest();
    await server.ran("opening-still", "opening-still-0", "seq 1 300; echo still");
    await page.addInitScript(watchShifts);
    await page.goto(server.url(path));
    await page.locator("main").getByText("still").first().waitFor();
    assert.deepEqual(await page.evaluate(shiftsSoFar), []);
  });
}
