/** For all people: keys and help, languages, themes, screen readers, and what axe-core finds. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { findings, opened, VIEWS } from "./views.js";
import { until } from "./wait.js";

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
