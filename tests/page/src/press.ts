/** Pressing on rows that would change, or move, while a button of the mouse is down. */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { followed } from "./followed.js";
import { holdBack } from "./held.js";
import { LogPage } from "./log.js";
import { frames } from "./told.js";
import { until } from "./wait.js";

type Point = readonly [x: number, y: number];

async function middleOf(what: Locator): Promise<Point> {
  // A row that is written anew has none for a moment.
  const box = await until(
    "where it is",
    () => what.boundingBox(),
    (seen) => seen !== null,
  );
  assert.ok(box);
  return [box.x + box.width / 2, box.y + box.height / 2];
}

/** Presses there with the mouse; gives what lets it go. */
async function byMouse(page: Page, at: Point): Promise<() => Promise<unknown>> {
  await page.mouse.move(...at);
  await page.mouse.down();
  return () => page.mouse.up();
}

sees("a group that is pressed before its lines are there, and let go after, opens", async ({ page }) => {
  const server = await ingest();
  // It opens at its end, far from the group, which is folded then.
  await server.ran("press", "press-early", "echo '--- folded'; echo hidden; echo '+++ open'; seq 1 200");
  const come = await holdBack(page, "**/logs?**");
  const log = await LogPage.open(page, server, "press-early");
  await log.part("fold-all").waitFor();
  await log.press("g");
  const title = log.row(1).locator(".log-fold");
  await title.waitFor();
  const here = page.waitForEvent("requestfinished", (request) => request.url().includes("/logs?"));
  const letGo = await byMouse(page, await middleOf(title));
  come();
  await here;
  await frames(page);
  const fourth = (await log.rows()).find(({ sequence }) => sequence === 4);
  assert.equal(fourth?.text, "…", "nothing is drawn while something is pressed");
  await letGo();
  await log.showsLine(2, "hidden");
  await log.showsLine(4, "1");
});

sees("a line that is pressed while the log would move on is chosen, and no other", async ({ page }) => {
  const { agent, log, heard } = await followed(page, "press-moving");
  const number = log.row(295).locator(".log-number");
  const at = await middleOf(number);
  const letGo = await byMouse(page, at);
  agent.does("seq 301 305");
  await heard();
  await frames(page);
  assert.deepEqual(await middleOf(number), at, "it stays where it is");
  await letGo();
  await page.waitForURL(/line=295$/);
  // Nobody has seen them.
  await until(
    "the count of new lines",
    () => log.part("new-lines").innerText(),
    (text) => text.includes("5 new lines"),
  );
  await log.press("f");
  await log.showsLine(305, "305");
  await agent.done();
});

sees("a menu, a wheel and a key end a press: the log goes on at once", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-other", "seq 1 2000");
  const log = await LogPage.open(page, server, "press-other");
  await log.showsLine(2000, "2000");
  const at = await middleOf(log.text(1990));
  await byMouse(page, at);
  await page.mouse.wheel(0, -3_000);
  await log.shows("other lines", (rows) => rows.every(({ sequence }) => sequence < 1_950));
  await page.mouse.up();
  await page.mouse.down();
  await page.keyboard.press("g");
  await log.showsLine(1, "1");
  await page.mouse.up();
  await page.mouse.down({ button: "right" });
  await page.keyboard.press("Escape");
  await page.mouse.wheel(0, 3_000);
  await log.shows("other lines", (rows) => rows.every(({ sequence }) => sequence > 50));
  await page.mouse.up({ button: "right" });
});

sees("a log that is pressed, and never let go, goes on", async ({ page }) => {
  const { agent, log } = await followed(page, "press-held");
  await byMouse(page, await middleOf(log.row(295).locator(".log-number")));
  agent.does("seq 301 305");
  await log.showsLine(305, "305");
  await agent.done();
});

sees("a press that slips a little is one, and one that is dragged elsewhere does nothing", async ({ page }) => {
  const server = await ingest();
  const script = 'for n in 1 2; do echo "::group::part $n"; echo "in $n"; echo \'::endgroup::\'; done; seq 1 200';
  await server.ran("press", "press-dragged", script);
  const log = await LogPage.open(page, server, "press-dragged");
  await log.part("fold-all").waitFor();
  await log.press("g");
  const [first, second] = [log.row(1).locator(".log-fold"), log.row(4).locator(".log-fold")];
  await second.waitFor();
  await log.showsLine(15, "9");
  const dragged = async (from: Point, to: Point) => {
    const letGo = await byMouse(page, from);
    await page.mouse.move(...to, { steps: 4 });
    await letGo();
  };
  await dragged(await middleOf(first), await middleOf(second));
  const [tenth, twelfth] = [log.row(10).locator(".log-number"), log.row(12).locator(".log-number")];
  await dragged(await middleOf(tenth), await middleOf(twelfth));
  const [x, y] = await middleOf(log.row(15).locator(".log-number"));
  await dragged([x, y], [x + 6, y + 2]);
  await page.waitForURL(/line=15$/);
  const chosen = () => log.root.locator(".log-selected").count();
  await until("one line chosen", chosen, (count) => count === 1);
  for (const title of [first, second]) assert.equal(await title.getAttribute("aria-expanded"), "false");
  // Had anything else been gone to, a range would begin there.
  await page.keyboard.press("Escape");
  await until("nothing chosen", chosen, (count) => count === 0);
  await dragged(await middleOf(tenth), await middleOf(twelfth));
  await log
    .row(20)
    .locator(".log-number")
    .click({ modifiers: ["Shift"] });
  await page.waitForURL(/line=15-20$/);
});

for (const { where, worker, rest, lines, prepare, states } of [
  {
    where: "at the end that a key led to",
    worker: "press-fold-end",
    rest: "",
    lines: 6,
    prepare: async (log: LogPage) => {
      await log.part("fold-all").click();
      await log.press("G");
    },
    states: ["true", "false"],
  },
  {
    where: "at the line of a link",
    worker: "press-fold-linked",
    rest: "#L150",
    lines: 400,
    prepare: async () => {},
    states: ["false", "true"],
  },
] as const) {
  sees(`a group's first line stays where it is when it is folded and unfolded, ${where}`, async ({ page }) => {
    const server = await ingest();
    const script = "seq 1 140; echo '+++ first'; seq 1 20; echo '+++ second'; seq 1 9; echo '+++ third'; seq 1";
    await server.ran("press", worker, `${script} ${lines}`);
    const log = await LogPage.open(page, server, worker, rest);
    await log.part("fold-all").waitFor();
    await prepare(log);
    const title = log.row(162).locator(".log-fold");
    await log.showsLine(162);
    await title.waitFor();
    await log.atRest();
    const at = await middleOf(title);
    for (const unfolded of states) {
      await page.mouse.click(...at);
      await until(
        "it folded, or not",
        () => title.getAttribute("aria-expanded"),
        (seen) => seen === unfolded,
      );
      await log.atRest();
      assert.deepEqual(await middleOf(title), at);
    }
  });
}

sees("a group that is opened while its log is followed stays where it is, and following yields", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("press", "press-fold-followed");
  // It is folded, as the log opens far from it, and seen then.
  agent.does("seq 1 400");
  await agent.sent(400);
  const log = await LogPage.open(page, server, "press-fold-followed");
  await log.showsLine(400, "400");
  agent.does("echo '--- folded'; seq -f 'hidden-%g' 1 200; echo '+++ open'; seq 1 10");
  await log.showsLine(612, "10");
  const title = log.row(401).locator(".log-fold");
  await title.waitFor();
  await log.isPressed("follow");
  await log.atRest();
  const at = await middleOf(title);
  await page.mouse.click(...at);
  await log.showsLine(402, "hidden-1");
  await log.isPressed("follow", false);
  await log.atRest();
  assert.deepEqual(await middleOf(title), at);
  await agent.done();
});

sees("text of a followed log is selected by mouse, however long the button is down before", async ({ page }) => {
  const { agent, log, heard } = await followed(page, "press-selected", "line-%g");
  const [from, to] = [await log.text(290).boundingBox(), await log.text(293).boundingBox()];
  assert.ok(from && to);
  const letGo = await byMouse(page, [from.x + 1, from.y + from.height / 2]);
  agent.does("seq -f 'line-%g' 301 305");
  await heard();
  await frames(page);
  await page.mouse.move(to.x + 300, to.y + to.height / 2, { steps: 8 });
  await letGo();
  await log.isPressed("follow", false);
  const selected = await page.evaluate(() => String(getSelection()));
  assert.deepEqual(selected.match(/line-\d+/g), ["line-290", "line-291", "line-292", "line-293"]);
  await agent.done();
});

sees("lines stay where they are when one of the last is chosen: a second press is for the same", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-twice", "seq 1 300");
  const log = await LogPage.open(page, server, "press-twice");
  await log.showsLine(300, "300");
  const number = log.row(290).locator(".log-number");
  const at = await middleOf(number);
  await page.mouse.click(...at);
  await page.waitForURL(/line=290$/);
  await log.atRest();
  assert.deepEqual(await middleOf(number), at);
  await log.press("Escape");
  await log.showsLine(300, "300");
});

sees("the range of a link goes on from its last line, by mouse and by key", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-range", "seq 1 300");
  const log = await LogPage.open(page, server, "press-range", "#L120-L130");
  await log.showsLine(135, "135");
  await log
    .row(135)
    .locator(".log-number")
    .click({ modifiers: ["Shift"] });
  await page.waitForURL(/line=120-135$/);
  await log.press("J");
  await page.waitForURL(/line=120-136$/);
  await log.press("K", "K");
  await page.waitForURL(/line=120-134$/);
});

sees("a link that is entered once more leads to its line once more", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-again", "seq 1 2000");
  const log = await LogPage.open(page, server, "press-again", "#L700");
  await log.showsLine(700, "700");
  await log.wheel(6_000);
  await log.shows("other lines", (rows) => rows.every(({ sequence }) => sequence > 800));
  await page.goto(server.url("/#/workers/press-again#L700"));
  await log.showsLine(700, "700");
});

sees("what is selected of a coloured line stays when the rest of its row changes", async ({ page }) => {
  const server = await ingest();
  await server.ran("press", "press-coloured", "printf '\\033[32mgreen\\nstill green\\033[0m\\n'; seq 1 20");
  const log = await LogPage.open(page, server, "press-coloured");
  await log.showsLine(2, "still green");
  await log.text(2).dblclick({ position: { x: 5, y: 8 } });
  const selected = () => page.evaluate(() => String(getSelection()));
  assert.equal((await selected()).trim(), "still");
  const before = (await log.rows())[1]?.time;
  await log.press("t");
  await log.shows("other times", (rows) => rows[1]?.time !== before);
  assert.equal((await selected()).trim(), "still");
  // A bar comes up, and lines have another height to be seen in.
  await log.press("j");
  await page.waitForURL(/line=\d+$/);
  await log.atRest();
  assert.equal((await selected()).trim(), "still");
});

sees("at the end of a log steps up start from its last line", async ({ page }) => {
  const server = await ingest();
  const script = "for n in $(seq 1 20); do echo \"::group::part $n\"; seq 1 8; echo '::endgroup::'; done";
  await server.ran("press", "press-up", `${script}; seq 1 3`);
  const log = await LogPage.open(page, server, "press-up", "#L1");
  await log.part("fold-all").waitFor();
  await log.press("G");
  await log.showsLine(203, "3");
  await log.atRest();
  await log.press("[");
  await log.isCurrent(191);
  await log.press("G");
  await log.showsLine(203, "3");
  await log.atRest();
  await log.press("k");
  await page.waitForURL(/line=203$/);
});
