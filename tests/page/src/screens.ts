/** On all screens: phones and low windows, large fonts, a system's own colours, fingers. */

import assert from "node:assert/strict";
import type { Locator } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { findings, opened, VIEWS } from "./views.js";
import { until } from "./wait.js";

for (const view of VIEWS) {
  sees(
    `${view.name} fits a phone: nothing but the log's own lines goes beyond its side`,
    async ({ page }) => {
      await opened(page, view);
      const beyond = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      assert.ok(beyond <= 0, `${beyond} pixels beyond`);
      assert.deepEqual(await findings(page), []);
      for (const locator of await page
        .locator(".brand, header.top button, .log-tools button, .task-bar button, .log-number, .log-fold, .log-action")
        .all()) {
        const box = await locator.boundingBox();
        // Tools may be scrolled in their own bar.
        if (box) assert.ok(box.height >= 24, `high enough for a finger: ${await locator.innerHTML()} ${box.height}`);
      }
    },
    { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
  );
}

for (const root of [16, 32]) {
  sees(
    `a log is as large as a browser's font of ${root} pixels, and drawings on buttons have their size`,
    async ({ page }) => {
      await opened(page, VIEWS[0]);
      await page.evaluate((size) => document.documentElement.style.setProperty("font-size", size), `${root}px`);
      await opened(page, { path: "/#/workers/people-well", ready: "300" });
      const log = new LogPage(page, "people-well");
      await log.showsLine(300, "300");
      const line = await log
        .row(299)
        .evaluate((row) => [getComputedStyle(row).fontSize, row.getBoundingClientRect().height]);
      assert.deepEqual(line, [`${(12.5 * root) / 16}px`, (20 * root) / 16]);
      const drawings = page.locator(".button .icon").filter({ visible: true });
      const widths = await drawings.evaluateAll((icons) => icons.map((icon) => icon.getBoundingClientRect().width));
      assert.ok(widths.length >= 2 && widths.every((width) => width === 16), `${widths}`);
      await log.press("g");
      await log.showsLine(1, "1");
      await log.press("G");
      await log.showsLine(300, "300");
      // While the log is open.
      await page.evaluate((size) => document.documentElement.style.setProperty("font-size", size), `${2 * root}px`);
      const height = () => log.row(300).evaluate((row) => row.getBoundingClientRect().height);
      await until("a line is twice as high", height, (seen) => seen === (2 * 20 * root) / 16);
      await log.showsLine(300, "300");
    },
  );
}

/** Whether this is drawn in another colour than that: its words, or its upper edge. */
async function differs(one: Locator, other: Locator, of: "color" | "border-top-color" = "color"): Promise<boolean> {
  const drawn = (locator: Locator) =>
    locator.evaluate((element, of) => getComputedStyle(element).getPropertyValue(of), of);
  return (await drawn(one)) !== (await drawn(other));
}

sees(
  "what is open, pressed and chosen is seen in the system's own colours",
  async ({ page }) => {
    await opened(page, VIEWS[1]);
    const tab = (selected: boolean) => page.getByRole("tab", { selected }).first();
    assert.ok(await differs(tab(true), tab(false)), "the open tab");
    await tab(true).focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    const [ring, ground] = await tab(true).evaluate((element) => {
      const { outlineStyle, outlineColor, backgroundColor } = getComputedStyle(element);
      return [outlineStyle === "none" ? "none" : outlineColor, backgroundColor];
    });
    assert.ok(ring !== "none" && ring !== ground, `the ring of the focus, ${ring} on ${ground}`);
    assert.deepEqual(await findings(page), []);
    await opened(page, VIEWS[2]);
    await page.locator(".column.active").waitFor();
    const heading = (column: string) => page.locator(`${column} > header`).first();
    assert.ok(
      await differs(heading(".column.active"), heading(".column:not(.active)"), "border-top-color"),
      "the column",
    );
    await opened(page, { path: "/#/workers/people-well#L13-L15", ready: "13" });
    const log = new LogPage(page, "people-well");
    await log.showsLine(16, "16");
    const number = (sequence: number) => log.row(sequence).locator(".log-number");
    assert.ok(await differs(number(13), number(16)), "a chosen line");
    assert.ok(!(await differs(number(13), number(15))), "all of them");
    const shape = (sequence: number) => number(sequence).evaluate((element) => getComputedStyle(element).outlineStyle);
    assert.notEqual(await shape(13), await shape(15), "the current line");
    await log.isPressed("wrap");
    assert.ok(await differs(log.part("wrap"), log.part("download")), "a pressed button");
    assert.ok(await differs(log.part("stream-stdout"), log.part("download")), "a stream that is shown");
    assert.deepEqual(await findings(page), []);
  },
  { forcedColors: "active" },
);

for (const [screen, size] of [
  ["a phone", { width: 360, height: 640 }],
  ["a phone on its side", { width: 640, height: 360 }],
  ["a low window", { width: 1000, height: 300 }],
] as const) {
  sees(
    `each of four logs side by side can be read on ${screen}: the whole scrolls`,
    async ({ page }) => {
      const server = await ingest();
      const workers = [1, 2, 3, 4].map((at) => `people-beside-${at}`);
      for (const worker of workers) await server.ran("people-beside", worker, "seq 1 100");
      const chosen = workers.map((worker) => `&w=${worker}`).join("");
      await page.goto(server.url(`/#/tasks/people-beside?show=side${chosen}`));
      for (const worker of workers) {
        const log = new LogPage(page, worker);
        await log.showsLine(100, "100");
        await log.scroller.scrollIntoViewIfNeeded();
        const { rows, seen } = await log.scroller.evaluate((scroller) => {
          const { left, top, width, height } = scroller.getBoundingClientRect();
          const at = document.elementFromPoint(left + width / 2, top + height / 2);
          const line = scroller.querySelector(".log-row")?.getBoundingClientRect().height ?? height;
          return { rows: Math.floor(height / line), seen: at !== null && scroller.contains(at) };
        });
        assert.ok(rows >= 4 && seen, `${rows} rows of ${worker}, and nothing over them: ${seen}`);
      }
      await page.keyboard.press("l");
      await page.locator(".column.active", { hasText: "people-beside-2" }).waitFor();
      assert.ok(
        await page.locator(".column.active > header").evaluate((header) => {
          const { bottom, top } = header.getBoundingClientRect();
          const within = header.closest("main")?.getBoundingClientRect();
          return within !== undefined && top >= within.top && bottom <= within.bottom;
        }),
        "the log that a key went to is in sight",
      );
      assert.deepEqual(await findings(page), []);
    },
    { viewport: size, hasTouch: true },
  );
}

sees(
  "a line that is chosen at the window's edge stays seen above what comes up there, and a range goes on from it",
  async ({ page }) => {
    await opened(page, { path: "/#/workers/people-well#L100", ready: "100" });
    const log = new LogPage(page, "people-well");
    await page.keyboard.press("Escape");
    await log.part("chosen").waitFor({ state: "hidden" });
    const last = (await log.atRest()).at(-2)?.sequence ?? 0;
    await log.row(last).locator(".log-number").tap();
    await log.part("chosen").waitFor();
    await log.showsLine(last);
    // Also where it has been scrolled away.
    await log.scroller.evaluate((scroller) => scroller.scrollBy(0, -2 * scroller.clientHeight));
    await log.shows("other lines", (rows) => rows.every(({ sequence }) => sequence < last));
    await log.press("J");
    await page.waitForURL(new RegExp(`line=${last}-${last + 1}$`));
    await log.showsLine(last + 1);
  },
  { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
);

sees(
  "a finger chooses a range: one line, and then up to another",
  async ({ page }) => {
    await opened(page, { path: "/#/workers/people-well#L100", ready: "100" });
    const log = new LogPage(page, "people-well");
    await log.showsLine(108, "108");
    const [first, last] = [103, 107];
    await log.row(first).locator(".log-number").tap();
    await page.waitForURL(new RegExp(`line=${first}$`));
    await log.part("extend").tap();
    await log.isPressed("extend");
    await log.row(last).locator(".log-number").tap();
    await page.waitForURL(new RegExp(`line=${first}-${last}$`));
    await log.isPressed("extend", false);
    // The next one begins anew.
    await log
      .row(first + 1)
      .locator(".log-number")
      .tap();
    await page.waitForURL(new RegExp(`line=${first + 1}$`));
  },
  { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
);
