/** What comes late, an answer or a line: it leads nobody away from where he has gone meanwhile. */

import assert from "node:assert/strict";
import { ingest, sees, WITH_CLIPBOARD } from "./browser.js";
import { followed } from "./followed.js";
import { holdBack } from "./held.js";
import { LogPage } from "./log.js";
import { frames, hears } from "./told.js";
import { until } from "./wait.js";

sees(
  "what is copied last is in the clipboard, also where lines of a copy before come late",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("moments", "moments-copied", "seq 1 300");
    const log = await LogPage.open(page, server, "moments-copied", "#L120-L140");
    await log.showsLine(140, "140");
    const come = await holdBack(page, "**/logs?**");
    await log.press("c", "y");
    const link = server.url("/#/workers/moments-copied#L120-L140");
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await until("the link", clipboard, (seen) => seen === link);
    const here = page.waitForResponse(/\/logs\?/);
    come();
    await here;
    await log.atRest();
    assert.equal(await clipboard(), link);
  },
  WITH_CLIPBOARD,
);

sees("more of a long line that comes late does not end following", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("moments", "moments-more");
  agent.does("seq 1 50; head -c 60000 /dev/zero | tr '\\0' x; echo");
  await agent.sent(51);
  const log = await LogPage.open(page, server, "moments-more");
  const more = log.row(51).locator('[data-action="more"]');
  await more.waitFor();
  const come = await holdBack(page, "**/logs?**");
  await more.click();
  await log.isPressed("follow", false);
  await log.press("G");
  await log.isPressed("follow");
  const here = page.waitForEvent("requestfinished", (request) => request.url().includes("/logs?"));
  come();
  await here;
  agent.does("echo end");
  await log.showsLine(52, "end");
  await log.isPressed("follow");
  await agent.done();
});

sees("a search that is answered late leaves who has pressed a line meanwhile where he is", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-late", "seq 1 999; echo needle; seq 1001 4000");
  const log = await LogPage.open(page, server, "moments-late", "#L3000");
  await log.showsLine(3000, "3000");
  const answer = await holdBack(page, "**/search?**");
  const asked = page.waitForRequest("**/search?**");
  await log.press("/");
  await page.keyboard.type("needle");
  await asked;
  await log.row(3003).locator(".log-number").click();
  await page.waitForURL(/line=3003$/);
  answer();
  await until(
    "the count of matches",
    () => log.part("find-count").getAttribute("data-count"),
    (count) => count === "1",
  );
  await log.atRest();
  await log.showsLine(3003, "3003");
  await log.press("n");
  await log.showsLine(1000, "needle");
});

sees("a log stays under the hand that presses a line, also where it would open elsewhere", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-opens", "seq 1 399; echo '##[error]failed here'; seq 401 2000; exit 1");
  const tell = await holdBack(page, "**/outline");
  // Its end is shown where it is not told for long where it failed.
  const log = await LogPage.open(page, server, "moments-opens");
  await log.showsLine(1990, "1990");
  const box = await log.row(1990).locator(".log-number").boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  const told = page.waitForEvent("requestfinished", (request) => request.url().endsWith("/outline"));
  tell();
  await told;
  await log.atRest();
  await page.mouse.up();
  await page.waitForURL(/line=1990$/);
  await log.atRest();
  await log.showsLine(1990, "1990");
  assert.equal(await log.part("new-lines").count(), 0, "nothing is new in a log that is closed");
});

sees("a press on the text of a line calls off nothing, and one on its number does", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("moments", "moments-awaited");
  agent.does("seq 1 500");
  await agent.sent(500);
  const log = await LogPage.open(page, server, "moments-awaited", "#L600");
  await log.showsLine(500, "500");
  await log.text(490).click();
  agent.does("seq 501 650");
  await log.showsLine(600, "600");
  await page.goto(server.url("/#/workers/moments-awaited#L900"));
  await log.showsLine(650, "650");
  await log.row(640).locator(".log-number").click();
  await page.waitForURL(/line=640$/);
  const heard = await hears(page, 950);
  agent.does("seq 651 950");
  await heard();
  await frames(page);
  await log.showsLine(640, "640");
  await agent.done();
});

sees("a stream that a person hides stays hidden when groups come to be known", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-outlined", "seq 1 300; echo 'no' >&2; echo more >&2");
  const tell = await holdBack(page, "**/outline");
  const log = await LogPage.open(page, server, "moments-outlined", "#L120");
  await log.showsLine(120, "120");
  await log.press("1");
  await log.shows("the other stream alone", (rows) => rows.length === 2);
  const told = page.waitForEvent("requestfinished", (request) => request.url().endsWith("/outline"));
  tell();
  await told;
  await frames(page);
  await log.shows("the other stream alone", (rows) => rows.length === 2);
});

sees("a search leads nobody away who has scrolled just after its last letter", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-typed", "seq 1 999; echo needle; seq 1001 4000");
  const log = await LogPage.open(page, server, "moments-typed", "#L3000");
  await log.showsLine(3000, "3000");
  await log.press("/");
  const field = log.part("find-field");
  await field.fill("needl");
  const count = () => log.part("find-count").getAttribute("data-count");
  await log.showsLine(1000, "needle");
  const before = await log.first();
  // Before the pause after the last letter has passed.
  await field.evaluate((input: HTMLInputElement) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(input, "needle");
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    const scroller = document.querySelector(".log-scroller");
    if (scroller) scroller.scrollTop += 2_000;
  });
  await until("the search", count, (seen) => seen === "1");
  await log.shows("lines far from the match", (rows) => (rows[0]?.sequence ?? 0) > before + 50);
  await log.atRest();
  await log.shows("lines far from the match", (rows) => (rows[0]?.sequence ?? 0) > before + 50);
});

sees("a search that has found nothing leads nobody away when a match comes later", async ({ page }) => {
  const { log, agent } = await followed(page, "moments-later");
  await log.press("/");
  await page.keyboard.type("needle");
  const count = log.part("find-count");
  await count.getByText("No match").waitFor();
  agent.does("echo needle; seq 1 100");
  await log.showsLine(401, "100");
  await until(
    "the match",
    () => count.getAttribute("data-count"),
    (seen) => seen === "1",
  );
  await log.isPressed("follow");
  await log.showsLine(401, "100");
  await agent.done();
});
