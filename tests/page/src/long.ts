/** Logs longer than any browser's elements are high. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import type { Ingest } from "./ingest.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** Debug programs take and look through a million lines in this at the most. */
const MILLION_MS = 120_000;

/** From a press to the line in sight: what people do not take for broken, on a machine that has other things to do. */
const JUMP_MS = 3_000;

let million: Promise<unknown> | undefined;

/** A log of a million lines, made once. */
async function longLog(server: Ingest): Promise<string> {
  million ??= printed(server, "long-million", "seq 1 1000000");
  await million;
  return "long-million";
}

async function printed(server: Ingest, worker: string, script: string): Promise<void> {
  const agent = server.agent("long", worker, "--buffer-limit", "64MiB", "--spool-limit", "1GiB");
  agent.does(script);
  await agent.done(MILLION_MS);
}

const LONG = { limit: 300_000 };

/** Does something, and waits for the line that it leads to, no longer than people would. */
async function leads(log: LogPage, act: () => Promise<unknown>, sequence: number, text: string): Promise<void> {
  const begin = Date.now();
  await act();
  await log.showsLine(sequence, text);
  const took = Date.now() - begin;
  assert.ok(took < JUMP_MS, `line ${sequence} came after ${took} ms`);
}

sees(
  "a log of a million lines opens at its end, and any line of it is a jump away",
  async ({ page }) => {
    const server = await ingest();
    const log = new LogPage(page);
    const address = server.url(`/#/workers/${await longLog(server)}`);
    await leads(log, () => page.goto(address), 1_000_000, "1000000");
    await leads(log, () => log.press("Home"), 1, "1");
    await leads(log, () => log.press("End"), 1_000_000, "1000000");
    await leads(log, () => page.goto(`${address}#L500000`), 500_000, "500000");
    assert.equal((await log.row(500_000).getAttribute("class"))?.includes("log-selected"), true);
  },
  LONG,
);

sees(
  "a log of a million lines is scrolled by wheel from any place, a line behind the other, and by its bar",
  async ({ page }) => {
    const server = await ingest();
    const log = await LogPage.open(page, server, await longLog(server), "#L500000");
    await log.showsLine(500_000, "500000");
    let [top = 0] = await log.sequences();
    for (let turn = 0; turn < 10; turn += 1) {
      await log.wheel(400);
      const before = top;
      const rows = await log.shows(
        "20 lines further",
        (rows) => (rows[0]?.sequence ?? 0) >= before + 19 && rows.every(({ text }) => text !== "…"),
      );
      top = rows[0]?.sequence ?? 0;
      assert.ok(top <= before + 21, `from ${before} to ${top}`);
      rows.forEach((row, at) => {
        assert.equal(row.sequence, top + at);
        assert.equal(row.text, String(row.sequence));
      });
    }
    // The bar, dragged to a quarter of its way.
    await log.scroller.evaluate((scroller) => {
      scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) / 4;
    });
    await log.shows("about line 250,000", (rows) => {
      const first = rows[0];
      return (
        first !== undefined &&
        first.sequence > 240_000 &&
        first.sequence < 260_000 &&
        first.text === String(first.sequence)
      );
    });
    const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(nodes < 3_000, `${nodes} elements for a million lines`);
  },
  LONG,
);

sees(
  "a search in a million lines leads to its match",
  async ({ page }) => {
    const server = await ingest();
    const log = await LogPage.open(page, server, await longLog(server));
    await log.showsLine(1_000_000);
    await log.press("/");
    await page.keyboard.type("765432");
    await log.showsLine(765_432, "765432");
    await until(
      "the count",
      () => log.part("find-count").innerText(),
      (text) => text === "1 of 1",
    );
  },
  LONG,
);

sees(
  "a million groups, each in the one before, stop nothing",
  async ({ page }) => {
    const server = await ingest();
    await printed(server, "hostile-groups", "yes '::group::deeper' | head -n 1000000");
    const log = await LogPage.open(page, server, "hostile-groups");
    const answers = async () => {
      const begin = Date.now();
      await log.press("?");
      await page.locator("dialog.help").waitFor();
      await log.press("Escape");
      await page.locator("dialog.help").waitFor({ state: "hidden" });
      assert.ok(Date.now() - begin < 2 * JUMP_MS, `keys were answered after ${Date.now() - begin} ms`);
    };
    await answers();
    await log.part("fold-all").waitFor();
    await answers();
    await log.part("fold-all").click();
    await answers();
    await page.goto(server.url("/#/workers/hostile-groups#L5000"));
    await log.shows("line 5000", (rows) => rows.some((row) => row.sequence === 5_000 && row.text.includes("deeper")));
    await answers();
    await log.press("x", "]", "[", "G", "g");
    await answers();
  },
  LONG,
);
