/** Choosing lines: links to them, and copies of them. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, sees, WITH_CLIPBOARD } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

const clipboard = (page: Page) => page.evaluate(() => navigator.clipboard.readText());

async function copied(page: Page, text: string): Promise<void> {
  await until(
    "the clipboard",
    () => clipboard(page),
    (seen) => seen.replaceAll("\r", "") === text,
  );
}

sees(
  "a press on a number links to the line, another with Shift to the range, and one more press copies the link",
  async ({ page, context }) => {
    const server = await ingest();
    await server.ran("choose", "choose-link", "seq 1 300");
    const log = await LogPage.open(page, server, "choose-link");
    await log.press("g");
    await log.showsLine(5, "5");
    await log.row(5).locator(".log-number").click();
    await page.waitForURL(/line=5$/);
    await log
      .row(9)
      .locator(".log-number")
      .click({ modifiers: ["Shift"] });
    await page.waitForURL(/line=5-9$/);
    await log.part("copy-link").click();
    await copied(page, server.url("/#/workers/choose-link#L5-L9"));
    const other = await context.newPage();
    await other.goto(await clipboard(page));
    const there = new LogPage(other);
    const rows = await there.shows("line 9", (rows) => rows.some((row) => row.text === "9"));
    const marked = rows.filter((row) => row.classes.includes("log-selected")).map((row) => row.sequence);
    assert.deepEqual(marked, [5, 6, 7, 8, 9]);
  },
  WITH_CLIPBOARD,
);

sees(
  "chosen lines are copied by a key, as the command wrote them",
  async ({ page }) => {
    const server = await ingest();
    const script = String.raw`printf 'one\n\033[31mtwo\033[0m\n<three>\nfour\n'`;
    await server.ran("choose", "choose-text", script);
    const log = await LogPage.open(page, server, "choose-text");
    await log.showsLine(1, "one");
    await log.press("g", "j", "J", "J");
    await page.waitForURL(/line=1-3$/);
    await log.press("c");
    await page.getByText("3 lines copied").waitFor();
    await copied(page, "one\ntwo\n<three>\n");
    await log.press("y");
    await copied(page, server.url("/#/workers/choose-text#L1-L3"));
    await log.press("Escape");
    await page.waitForURL(/choose-text$/);
  },
  WITH_CLIPBOARD,
);

sees(
  "a selection with the mouse is copied without numbers, times and streams",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("choose", "choose-mouse", "echo alpha; echo beta >&2; echo gamma");
    const log = await LogPage.open(page, server, "choose-mouse");
    await log.showsLine(3);
    const [from, to] = [await log.text(1).boundingBox(), await log.text(3).boundingBox()];
    assert.ok(from && to);
    await page.mouse.move(from.x + 1, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + 200, to.y + to.height / 2, { steps: 8 });
    await page.mouse.up();
    await page.keyboard.press("Control+c");
    const text = await until(
      "the clipboard",
      () => clipboard(page),
      (seen) => seen.includes("gamma"),
    );
    assert.deepEqual(text.trim().split(/\r?\n/).sort(), ["alpha", "beta", "gamma"]);
  },
  WITH_CLIPBOARD,
);

sees("what is selected in a line stays selected when marks of a search come and go in it", async ({ page }) => {
  const server = await ingest();
  await server.ran("choose", "choose-marked", "echo one needle more; echo two; echo three needles");
  const log = await LogPage.open(page, server, "choose-marked");
  await log.showsLine(3, "three needles");
  await log.press("/");
  await page.keyboard.type("needle");
  await log.row(3).locator("mark").waitFor();
  const [from, to] = [await log.text(1).boundingBox(), await log.text(3).boundingBox()];
  assert.ok(from && to);
  await page.mouse.move(from.x + 1, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + 300, to.y + to.height / 2, { steps: 8 });
  await page.mouse.up();
  const selected = () => page.evaluate(() => getSelection()?.toString() ?? "");
  const before = await selected();
  assert.match(before, /one needle more[\s\S]*three needles/);
  await log.press("Escape");
  await log.row(3).locator("mark").waitFor({ state: "detached" });
  assert.equal(await selected(), before);
});

sees(
  "a selection of more than a screen is copied whole, from where it began, though that is drawn no more",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("choose", "choose-beyond", "seq -f 'line-%g' 1 2000");
    const log = await LogPage.open(page, server, "choose-beyond", "#L100");
    await log.showsLine(100, "line-100");
    const from = await log.text(100).boundingBox();
    assert.ok(from);
    await page.mouse.click(from.x + 1, from.y + from.height / 2);
    await log.press("G");
    await log.showsLine(2000, "line-2000");
    const to = await log.text(1990).boundingBox();
    assert.ok(to);
    await page.keyboard.down("Shift");
    await page.mouse.click(to.x + 400, to.y + to.height / 2);
    await page.keyboard.up("Shift");
    await page.keyboard.press("Control+c");
    await page.getByText("1,891 lines copied").waitFor();
    await copied(page, Array.from({ length: 1_891 }, (_, at) => `line-${at + 100}`).join("\n"));
    // Where it began is seen again: it is selected from there on, and not the lines above it.
    await log.press("g");
    await log.showsLine(1, "line-1");
    await log.wheel(1_900);
    await log.showsLine(100, "line-100");
    const selected = await page.evaluate(() => getSelection()?.toString() ?? "");
    assert.match(selected.trim(), /^line-100\nline-101\n/);
  },
  WITH_CLIPBOARD,
);

sees(
  "the whole of one of two logs side by side is selected and copied by key",
  async ({ page }) => {
    const server = await ingest();
    for (const worker of ["a", "b"])
      await server.ran("choose-side", `choose-side-${worker}`, `seq -f '${worker}%g' 1 300`);
    await page.goto(server.url("/#/tasks/choose-side?show=side&w=choose-side-a&w=choose-side-b"));
    const logs = ["a", "b"].map((worker) => [worker, new LogPage(page, `choose-side-${worker}`)] as const);
    for (const [worker, log] of logs) await log.showsLine(300, `${worker}300`);
    for (const [worker, log] of logs) {
      await log.text(299).click();
      await page.keyboard.press("Control+a");
      await page.keyboard.press("Control+c");
      await copied(page, Array.from({ length: 300 }, (_, at) => `${worker}${at + 1}`).join("\n"));
    }
  },
  WITH_CLIPBOARD,
);

sees(
  "a selection dragged beyond the edge is copied whole, without what is hidden in it",
  async ({ page }) => {
    const server = await ingest();
    const script =
      "seq -f 'line-%g' 1 500; echo '--- folded'; seq -f 'hidden-%g' 1 300; echo '+++ open'; seq -f 'more-%g' 1 500";
    await server.ran("choose", "choose-dragged", script);
    // It opens at its end, far from the group, which is folded then.
    const log = await LogPage.open(page, server, "choose-dragged");
    await log.part("fold-all").waitFor();
    await page.goto(server.url("/#/workers/choose-dragged#L490"));
    await log.showsLine(490, "line-490");
    await log.shows("the group folded", (rows) => rows.every(({ text }) => !text.startsWith("hidden")));
    const from = await log.text(490).boundingBox();
    assert.ok(from);
    await page.mouse.move(from.x + 1, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(from.x + 300, from.y + 100, { steps: 4 });
    for (let turns = 0; turns < 3; turns += 1) await page.mouse.wheel(0, 1_000);
    await log.shows("lines far from there", (rows) => (rows[0]?.sequence ?? 0) > 850);
    await log.atRest();
    const rows = await log.shows("all lines", (rows) => rows.every(({ text }) => text !== "…"));
    const last = rows[3];
    assert.ok(last);
    const to = await log.text(last.sequence).boundingBox();
    assert.ok(to);
    await page.mouse.move(to.x + 400, to.y + to.height / 2, { steps: 4 });
    await page.mouse.up();
    await page.keyboard.press("Control+c");
    const text = await until(
      "the clipboard",
      () => clipboard(page),
      (seen) => seen.startsWith("line-490"),
    );
    const lines = text.split(/\r?\n/);
    assert.equal(lines.at(-1), last.text);
    assert.ok(!text.includes("hidden"));
    assert.equal(lines.length, last.sequence - 490 + 1 - 300);
  },
  WITH_CLIPBOARD,
);

sees(
  "a word that was selected is what is copied, also after a press that selects nothing, and far from it",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("choose", "choose-word", "seq -f 'line %g' 1 2000");
    const log = await LogPage.open(page, server, "choose-word", "#L100");
    await log.showsLine(100, "line 100");
    const word = await log.text(100).boundingBox();
    assert.ok(word);
    await page.mouse.dblclick(word.x + 4, word.y + word.height / 2);
    // As of a finger that scrolls: it presses, and leaves what is selected.
    for (const event of ["pointerdown", "pointercancel"])
      await log.text(105).dispatchEvent(event, { pointerType: "touch", isPrimary: true, button: 0 });
    await log.wheel(5_000);
    await log.shows("lines far from there", (rows) => (rows[0]?.sequence ?? 0) > 200);
    await log.atRest();
    await page.keyboard.press("Control+c");
    await copied(page, "line");
  },
  WITH_CLIPBOARD,
);

sees(
  "Ctrl and A select the whole log, and a copy that is not all of it says so",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("choose", "choose-all", "seq 1 100002");
    const log = await LogPage.open(page, server, "choose-all");
    await log.showsLine(100_002);
    await page.keyboard.press("Control+a");
    await page.keyboard.press("Control+c");
    await page.getByText("100,000 lines copied, up to line 100,000").waitFor();
    await copied(page, Array.from({ length: 100_000 }, (_, at) => String(at + 1)).join("\n"));
  },
  WITH_CLIPBOARD,
);

sees("the whole log is downloaded as the command wrote it", async ({ page }) => {
  const server = await ingest();
  await server.ran("choose", "choose-download", "seq 1 20000; printf 'no newline'");
  const log = await LogPage.open(page, server, "choose-download");
  const [download] = await Promise.all([page.waitForEvent("download"), log.part("download").click()]);
  const stream = await download.createReadStream();
  const text = (await stream.toArray()).join("");
  const expected = `${Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join("")}no newline`;
  assert.ok(text === expected, `${text.length} characters, ending in ${JSON.stringify(text.slice(-30))}`);
  assert.match(download.suggestedFilename(), /^choose-download\./);
});

sees(
  "whoever holds what he selects is not led on where he comes to the end of a log that goes on",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("choose", "choose-held");
    agent.does("seq 1 300");
    await agent.sent(300);
    const log = await LogPage.open(page, server, "choose-held");
    await log.showsLine(300);
    await log.isPressed("follow");
    const [from, to] = [await log.text(290).boundingBox(), await log.text(295).boundingBox()];
    assert.ok(from && to);
    await page.mouse.move(from.x + 1, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + 20, to.y + to.height / 2, { steps: 8 });
    await log.isPressed("follow", false);
    agent.does("seq 301 310");
    await log.part("new-lines").waitFor();
    await page.mouse.wheel(0, 10_000);
    await log.showsLine(310);
    await log.atRest();
    await log.isPressed("follow", false);
    await page.mouse.up();
    assert.match(await page.evaluate(() => getSelection()?.toString() ?? ""), /^290/);
    await page.mouse.wheel(0, -100);
    await log.atRest();
    await page.mouse.wheel(0, 200);
    await log.isPressed("follow");
    await agent.done();
  },
);
