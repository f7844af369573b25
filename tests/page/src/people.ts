/** For all people: keys and help, languages, themes, small screens, screen readers, and what axe-core finds. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults, RunOptions } from "axe-core";
import type { Locator, Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import type { Ingest } from "./ingest.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

let made: Promise<unknown> | undefined;

/** A task with something of everything: groups, colours, both streams, a failure, a worker that went well. */
async function task(server: Ingest): Promise<void> {
  made ??= (async () => {
    const failed = [
      String.raw`echo '::group::Set up'; seq 1 20; echo '::endgroup::'; printf '\033[32mgreen\033[0m \033[1;31mred\033[0m \033[2mdim\033[0m \033[93mbright\033[0m\n'`,
      String.raw`echo 'a warning' >&2; printf 'get: 10%%\rget: done\n'; echo '::warning::look out'; echo '::error::it broke'; exit 2`,
    ];
    await server.ran("people", "people-failed", failed.join("\n"));
    await server.ran("people", "people-well", "seq 1 300");
  })();
  await made;
}

const VIEWS = [
  { name: "the list of tasks", path: "/", ready: "people" },
  { name: "a task's tabs", path: "/#/tasks/people", ready: "it broke" },
  { name: "workers side by side", path: "/#/tasks/people?show=side", ready: "it broke" },
  { name: "a task by time", path: "/#/tasks/people?show=time", ready: "it broke" },
  { name: "a worker's log", path: "/#/workers/people-failed", ready: "it broke" },
  { name: "what is unknown", path: "/#/workers/people-unknown", ready: "There is no worker" },
] as const;

async function opened(page: Page, { path, ready }: { path: string; ready: string }): Promise<void> {
  const server = await ingest();
  await task(server);
  await page.goto(server.url(path));
  await page.locator("main").getByText(ready).first().waitFor();
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds that is serious or worse. It comes past the page's policy, which takes no other script. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const results = await page.evaluate(() => {
    const { axe } = globalThis as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } };
    // Of WCAG 2.2, and not looked at otherwise.
    return axe.run({ rules: { "target-size": { enabled: true } } });
  });
  assert.ok(results.passes.length > 5, "it has looked");
  const bad = results.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} (${failureSummary})`)}`,
  );
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const view of VIEWS) {
    sees(
      `axe-core finds nothing serious in ${view.name}, ${colorScheme}`,
      async ({ page }) => {
        await opened(page, view);
        assert.deepEqual(await findings(page), []);
      },
      { colorScheme },
    );
  }
  sees(
    `axe-core finds nothing serious in a log with its search, a choice of lines and the help open, ${colorScheme}`,
    async ({ page }) => {
      await opened(page, { path: "/#/workers/people-failed#L2-L4", ready: "Set up" });
      await page.keyboard.press("/");
      await page.keyboard.type("1");
      await until(
        "matches",
        () => page.locator('[data-log="find-count"]').innerText(),
        (text) => /of/.test(text),
      );
      assert.deepEqual(await findings(page), []);
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await page.locator("dialog.help").waitFor();
      assert.deepEqual(await findings(page), []);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Settings" }).click();
      await page.getByRole("dialog", { name: "Settings" }).waitFor();
      assert.deepEqual(await findings(page), []);
    },
    { colorScheme },
  );
}

sees("the help lists the keys of what is shown, and comes and goes by key", async ({ page }) => {
  await opened(page, VIEWS[4]);
  await page.keyboard.press("?");
  const help = page.locator("dialog.help");
  await help.waitFor();
  const keys = await help.locator("kbd").allInnerTexts();
  for (const key of ["?", "/", "n", "N", "g", "G", "f", "t", "w", "[", "]", "y", "c", "1", "2", "3", "u", "D"]) {
    assert.ok(keys.includes(key), `${key} is among ${keys}`);
  }
  await page.keyboard.press("Escape");
  await help.waitFor({ state: "hidden" });
  // With nothing that it could give the focus back to, and without a moment in between.
  for (let times = 0; times < 5; times += 1) {
    await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
    for (const key of ["?", "Escape", "?"]) await page.keyboard.press(key);
    await help.waitFor();
    await page.keyboard.press("?");
    await help.waitFor({ state: "hidden" });
  }
  await opened(page, VIEWS[0]);
  await page.keyboard.press("?");
  await help.waitFor();
  assert.ok(!(await help.locator("kbd").allInnerTexts()).includes("y"), "keys of a log are not there");
});

sees("all that is pressed can be reached with Tab, and what has the focus is seen", async ({ page }) => {
  await opened(page, VIEWS[4]);
  const reached = new Set<string>();
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const active = document.activeElement;
      if (!(active instanceof HTMLElement) || active === document.body) return "";
      const { outlineStyle, boxShadow } = getComputedStyle(active);
      const visible = outlineStyle !== "none" || boxShadow !== "none";
      const name = active.dataset["log"] ?? active.getAttribute("role") ?? active.textContent ?? "";
      return visible ? name : `${name}, which is not seen`;
    });
    reached.add(at);
  }
  for (const name of ["find", "times", "wrap", "stream-stderr", "download", "log"]) {
    assert.ok(reached.has(name), `${name} is among ${[...reached].join(" | ")}`);
  }
  assert.deepEqual(
    [...reached].filter((name) => name.includes("not seen")),
    [],
  );
});

sees("the theme is the system's until somebody chooses, and the choice stays", async ({ page }) => {
  await opened(page, VIEWS[0]);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await until("it is dark", ground, (seen) => seen !== light);
  await page.keyboard.press("D");
  await until("it is light", ground, (seen) => seen === light);
  await page.reload();
  await page.locator("main").getByText("people").first().waitFor();
  assert.equal(await ground(), light);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("radio", { name: "Dark" }).click();
  await until("it is dark", ground, (seen) => seen === dark);
});

sees(
  "the page is in Korean for who reads Korean, and in English for who chooses that",
  async ({ page }) => {
    await opened(page, { path: "/", ready: "people" });
    await page.getByRole("heading", { name: "작업" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
    await opened(page, { path: "/#/workers/people-failed", ready: "it broke" });
    await page.getByText("종료 코드 2").waitFor();
    await page.locator('[data-log="find"]', { hasText: "검색" }).waitFor();
    await page.getByRole("button", { name: "설정" }).click();
    await page.getByRole("radio", { name: "English" }).click();
    await page.getByText("exit code 2").waitFor();
    await page.reload();
    await page.getByText("exit code 2").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  },
  { locale: "ko-KR" },
);

sees(
  "how long a group took, and why a search was refused, are said in Korean",
  async ({ page }) => {
    const server = await ingest();
    const group = String.raw`printf 'section_start:1700000000:a\r\033[0KInstall\ninside\nsection_end:1700000125:a\r\033[0K\n'`;
    await server.ran("people", "people-korean", `${group}; echo after`);
    const log = await LogPage.open(page, server, "people-korean");
    await log.row(1).getByText("2분 05초").waitFor();
    await log.press("/");
    await log.part("find-regex").click();
    await log.part("find-field").fill("a(b");
    await log.part("find-error").getByText("서버가 받지 않은 값").waitFor();
    // As many letters as the server takes, which counts bytes.
    await log.part("find-regex").click();
    await log.part("find-field").fill("가".repeat(400));
    assert.equal((await log.part("find-field").inputValue()).length, 333);
    await log.part("find-count").getByText("결과 없음").waitFor();
  },
  { locale: "ko-KR" },
);

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
          return { rows: Math.floor(height / 20), seen: at !== null && scroller.contains(at) };
        });
        assert.ok(rows >= 4 && seen, `${rows} rows of ${worker}, and nothing over them: ${seen}`);
      }
      await page.keyboard.press("l");
      await page.locator(".column.active", { hasText: "people-beside-2" }).waitFor();
      assert.ok(
        await page.locator(".column.active > header").evaluate((header) => {
          const { bottom, top } = header.getBoundingClientRect();
          return bottom > 0 && top < innerHeight;
        }),
        "the log that a key went to is in sight",
      );
      assert.deepEqual(await findings(page), []);
    },
    { viewport: size, hasTouch: true },
  );
}

sees(
  "nothing moves by itself for who wants that",
  async ({ page }) => {
    await opened(page, VIEWS[0]);
    const moving = () =>
      page.evaluate(() => document.getAnimations().filter((animation) => animation.playState === "running").length);
    assert.equal(await moving(), 0);
  },
  { reducedMotion: "reduce" },
);

sees("a screen reader hears that lines have come, in a word now and then, and not the lines", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("people", "people-heard");
  agent.does("seq 1 100");
  await agent.sent(100);
  await page.clock.install();
  const log = await LogPage.open(page, server, "people-heard");
  await log.showsLine(100);
  assert.equal(await log.scroller.getAttribute("aria-live"), "off");
  await page.clock.fastForward(6_000);
  agent.does("seq 101 150");
  await agent.sent(150);
  await log.showsLine(150);
  await page.clock.fastForward(6_000);
  await until(
    "what is said",
    () => log.part("said").innerText(),
    (text) => text === "50 new lines",
  );
  await agent.done();
});

sees("a screen reader hears the line that a key went to, and what is marked of it by colour", async ({ page }) => {
  await opened(page, VIEWS[4]);
  const log = new LogPage(page, "people-failed");
  const hears = (pattern: RegExp) =>
    until(
      `it hears ${pattern}`,
      () => log.part("said-line").innerText(),
      (text) => pattern.test(text),
    );
  await hears(/^$/);
  await log.part("fold-all").waitFor();
  await log.press("g", "]");
  const first = await hears(/^Line 1, group, (open|folded): Set up$/);
  await log.press("x");
  await hears(first.includes("open") ? /^Line 1, group, folded:/ : /^Line 1, group, open:/);
  if (first.includes("open")) await log.press("x");
  await log.press("j");
  // The warning is of the other pipe, and may come anywhere among the lines of this one.
  await hears(/^Line 2: 1$|^Line 2, stderr: a warning$/);
  await log.press("J");
  await hears(/^Lines 2 to 3\. (Line 3: [12]|Line 3, stderr: a warning)$/);
  await log.press("e");
  await hears(/^Line \d+, error: .*it broke$/);
  await log.press("/");
  await page.keyboard.type("warning");
  await until(
    "a match",
    () => log.part("find-count").innerText(),
    (text) => / of /.test(text),
  );
  await log.press("Enter");
  await hears(/^Line \d+(, stderr|, warning)+: .*(a warning|look out)$/);
  assert.equal(await log.part("said-line").getAttribute("role"), "status");
});

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

sees("keys of one character do nothing for who switches them off, and the others go on", async ({ page }) => {
  await opened(page, { path: "/#/workers/people-well#L150", ready: "150" });
  const log = new LogPage(page, "people-well");
  await log.showsLine(150, "150");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("radiogroup", { name: "Keys of one character" }).getByRole("radio", { name: "Off" }).click();
  await page.keyboard.press("Escape");
  await page.reload();
  await log.showsLine(150, "150");
  await log.press("w", "/", "g", "G", "?");
  await log.press("Home");
  await log.showsLine(1, "1");
  await log.isPressed("wrap");
  assert.equal(await log.part("find-field").count(), 0);
  await page.getByRole("button", { name: "Keys and help" }).click();
  const help = page.locator("dialog.help");
  await help.getByText("switched off in the settings").waitFor();
  const keys = await help.locator("kbd").allInnerTexts();
  assert.ok(keys.includes("Home") && !keys.includes("g") && !keys.includes("?"), `${keys}`);
});

sees("Space goes a page down and, with Shift, a page up", async ({ page }) => {
  await opened(page, { path: "/#/workers/people-well#L150", ready: "150" });
  const log = new LogPage(page, "people-well");
  await log.showsLine(150, "150");
  const top = async () => (await log.sequences())[0] ?? 0;
  const before = await top();
  await log.press(" ");
  const below = await until("a page further", top, (seen) => seen > before + 20);
  await log.press("Shift+ ");
  await until("back", top, (seen) => seen < below - 20);
});
