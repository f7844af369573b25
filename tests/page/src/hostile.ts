/** Logs that mean harm: nothing in them runs, leaves the page, or stops it. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, type Person, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** A page that is busy for longer than this is frozen. The machine of the tests may have a lot to do. */
const ANSWER_MS = 2_500;

/** Whatever a log would have run calls this; whatever it would have loaded is a request. */
async function guarded({ page }: Person): Promise<{ harm: string[] }> {
  const told = { harm: [] as string[] };
  await page.exposeFunction("harm", (what: string) => told.harm.push(what));
  await page.addInitScript(() => {
    const harm = (globalThis as unknown as { harm: (what: string) => void }).harm;
    for (const name of ["alert", "confirm", "prompt", "open", "print"])
      Object.assign(globalThis, { [name]: () => harm(name) });
  });
  page.on("dialog", (dialog) => {
    told.harm.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  page.on("request", (request) => {
    if (!new URL(request.url()).hostname.startsWith("127.")) told.harm.push(`a request to ${request.url()}`);
  });
  page.on("popup", (popup) => told.harm.push(`a window at ${popup.url()}`));
  return told;
}

/** Nothing was done, and whoever would have done something would have been heard. */
async function isSpared(page: Page, told: { harm: string[] }): Promise<void> {
  assert.deepEqual(told.harm, []);
  await page.evaluate(() => (globalThis as unknown as { alert: () => void }).alert());
  await until(
    "the guard hears",
    () => told.harm,
    (harm) => harm.join() === "alert",
  );
}

/** The page answers keys while this is shown: the help opens and closes, each within a bound. */
async function answers(page: Page): Promise<void> {
  const help = page.locator("dialog.help");
  for (const state of ["visible", "hidden"] as const) {
    const begin = Date.now();
    await page.keyboard.press(state === "visible" ? "?" : "Escape");
    await help.waitFor({ state });
    const took = Date.now() - begin;
    assert.ok(took < ANSWER_MS, `the key was answered after ${took} ms`);
  }
}

sees("HTML and script in a log are text, and nothing of them runs", async (person) => {
  const { page } = person;
  const told = await guarded(person);
  const server = await ingest();
  const agent = server.agent("<b onclick=harm()>hostile", "<img src=x onerror=harm()>");
  const lines = [
    "<script>harm('script')</script>",
    "<img src=x onerror=\"harm('img')\">",
    "<svg onload=harm('svg')>",
    "<iframe srcdoc=\"<script>parent.harm('frame')</script>\"></iframe>",
    "<a href=\"javascript:harm('link')\">press</a>",
    "</span></div><style>*{display:none}</style>",
    "{{constructor.constructor('harm()')()}} `harm()`",
    "::group::<img src=x onerror=harm('group')>",
    "inside",
    "::endgroup::",
    "::error::<img src=x onerror=harm('error')>",
    'https://example.com/"onmouseover=harm()',
    "\u001b]8;;javascript:harm('osc')\u0007press\u001b]8;;\u0007",
    "\u001b]8;;data:text/html,<script>harm()</script>\u0007press\u001b]8;;\u0007",
    "<img src=https://example.com/leak>",
  ];
  agent.says(...lines);
  agent.does("exit 1");
  await agent.done();
  const log = await LogPage.open(page, server, agent.worker);
  await log.press("g");
  await log.showsLine(1, lines[0]);
  await log.showsLine(2, lines[1]);
  await log.showsLine(6, lines[5]);
  const foreign = () =>
    log.root.locator(".log-rows").locator("script, img, svg, iframe, style, object, embed, form").count();
  assert.equal(await foreign(), 0);
  assert.equal(await log.root.locator('.log-rows a[href^="javascript:"], .log-rows a[href^="data:"]').count(), 0);
  for (const sequence of [1, 2, 3, 8]) await log.text(sequence).click({ position: { x: 20, y: 8 } });
  await log.press("/");
  await page.keyboard.type("<img");
  await until(
    "matches",
    () => log.part("find-count").innerText(),
    (text) => / of \d/.test(text),
  );
  await log.press("Escape");
  await answers(page);
  for (const view of [
    "/",
    `/#/tasks/${encodeURIComponent(agent.task)}`,
    `/#/tasks/${encodeURIComponent(agent.task)}?show=time`,
  ]) {
    await page.goto(server.url(view));
    await page
      .locator("main")
      .getByText(/hostile|<img/)
      .first()
      .waitFor();
    assert.equal(await page.locator("main img, main script, main b").count(), 0);
  }
  await isSpared(page, told);
});

sees("bombs of ANSI codes neither stop the page nor get out of their line", async (person) => {
  const { page } = person;
  const told = await guarded(person);
  const server = await ingest();
  const script = [
    // 8,000 colours in one line; a code of thousands of numbers; codes that never end; what moves a terminal's cursor.
    `i=0; while [ $i -lt 8000 ]; do printf '\\033[38;5;%dmX' $((i % 256)); i=$((i + 1)); done; echo`,
    `printf '\\033['; seq -s ';' 1 12000; printf 'm'; echo`,
    `printf '\\033[2J\\033[H\\033[1000A\\033[?25l\\033]0;title\\007\\033c\\033P+q\\n'`,
    `printf '\\033]8;;https://example.com/'; head -c 30000 /dev/zero | tr '\\0' a; echo`,
    `yes "$(printf '\\033[1;3;4;7;9;31;42m\\033[0m')" | head -n 20000 | tr -d '\\n' | head -c 60000; echo`,
    "echo end",
  ];
  await server.ran("hostile", "hostile-ansi", script.join("\n"));
  const log = await LogPage.open(page, server, "hostile-ansi");
  await log.shows("the end", (rows) => rows.at(-1)?.text === "end");
  await answers(page);
  await log.press("g");
  await log.showsLine(1);
  await answers(page);
  await log.press("w", "w", "t");
  await answers(page);
  const last = await log.shows("the first line", (rows) => rows[0]?.sequence === 1);
  assert.ok(last.length > 0);
  assert.notEqual(await page.title(), "title");
  await isSpared(page, told);
});

sees("lines of 1 MiB are shown in part, and the page answers with them in sight", async (person) => {
  const { page } = person;
  const told = await guarded(person);
  const server = await ingest();
  const line = "head -c 1048000 /dev/zero | tr '\\0' x; echo";
  const script = `for n in 1 2 3 4 5 6; do ${line}; done; yes 'a <b> ' | tr -d '\\n' | head -c 1048000; echo; echo end`;
  await server.ran("hostile", "hostile-long", script, "--max-line", "1MiB", "--buffer-limit", "32MiB");
  const log = await LogPage.open(page, server, "hostile-long");
  await log.shows("the end", (rows) => rows.at(-1)?.text === "end", 60_000);
  await answers(page);
  await log.press("g");
  await log.showsLine(1);
  await answers(page);
  await log
    .text(1)
    .getByRole("button", { name: /Show more/ })
    .click();
  await until(
    "more of it",
    () => log.text(1).evaluate((text) => text.textContent?.length ?? 0),
    (length) => length > 60_000,
  );
  await answers(page);
  await log.press("w");
  await answers(page);
  await log.wheel(5_000);
  await log.wheel(-2_000);
  await answers(page);
  await isSpared(page, told);
});

sees("bytes that are no text are shown as what they are not, and the rest of the line is there", async ({ page }) => {
  const server = await ingest();
  const script = String.raw`printf 'before \377\376\200 after\n\303\050\n\355\240\200\n\000\001\002\177\n'; head -c 50000 /dev/urandom; echo; echo end`;
  await server.ran("hostile", "hostile-bytes", script);
  const log = await LogPage.open(page, server, "hostile-bytes");
  await log.shows("the end", (rows) => rows.at(-1)?.text === "end");
  await answers(page);
  await log.press("g");
  const rows = await log.shows("the first line", (rows) => rows[0]?.sequence === 1 && rows[0].text !== "…");
  assert.match(rows[0]?.text ?? "", /^before \ufffd+ after$/);
  assert.match(rows[3]?.text ?? "", /\^@.*\^A.*\^B.*\^\?/);
});

sees("text that would turn the direction of writing is seen for what it is", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("hostile", "hostile-rtl");
  agent.says("safe \u202e gnp.exe \u202c end \u2066x\u2069 \u200b", "next");
  await agent.done();
  const log = await LogPage.open(page, server, "hostile-rtl");
  await log.showsLine(2, "next");
  const text = await log.text(1).innerText();
  assert.ok(!/[\u202a-\u202e\u2066-\u2069\u200b]/.test(text), "none of them is left");
  assert.ok(text.includes("[U+202E]") && text.includes("[U+200B]"), text);
  const title = await log.text(1).locator(".log-control").first().getAttribute("title");
  assert.match(title ?? "", /RIGHT-TO-LEFT OVERRIDE/);
  assert.equal(await log.text(1).evaluate((text) => getComputedStyle(text).direction), "ltr");
});
