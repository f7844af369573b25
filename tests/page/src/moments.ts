/** What a person does between two frames: nothing of it is lost, or done to something else. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, ownIngest, sees, WITH_CLIPBOARD } from "./browser.js";
import { followed } from "./followed.js";
import { LogPage } from "./log.js";
import { frames, hears } from "./told.js";
import { until } from "./wait.js";

sees(
  "a page up from the end, or down from the start, counts from there also before that is drawn",
  async ({ page }) => {
    const server = await ingest();
    await server.ran("moments", "moments-paged", "seq 1 20000");
    const log = await LogPage.open(page, server, "moments-paged");
    await log.showsLine(20_000, "20000");
    const atEnd = await log.first();
    await log.pressAtOnce("g", "PageDown");
    await log.shows("the second page", (rows) => (rows[0]?.sequence ?? 0) < 100);
    const second = await log.first();
    assert.ok(second > 10, `line ${second} is at the top`);
    await log.pressAtOnce("G", "PageUp");
    await log.shows("the page before the last", (rows) => (rows[0]?.sequence ?? 0) > 19_000);
    assert.equal(await log.first(), atEnd - (second - 1));
    await log.pressAtOnce("G", "PageUp", "PageUp", "PageDown", "PageUp");
    const up = atEnd - 2 * (second - 1);
    await log.shows("two pages before the last", (rows) => rows[0]?.sequence === up);
  },
);

sees("a page up from the end counts also just after the window got another height", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-heightened", "seq 1 20000");
  const log = await LogPage.open(page, server, "moments-heightened");
  await log.showsLine(20_000, "20000");
  await log.pressWhenResized("PageUp");
  await page.setViewportSize({ width: 1280, height: 840 });
  await log.shows("the page before the last", (rows) => {
    const last = rows.at(-1)?.sequence ?? 0;
    return last > 19_900 && last < 19_990;
  });
});

sees("the end is gone to also just after the window got another width", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-widened", "seq 1 2000");
  const log = await LogPage.open(page, server, "moments-widened", "#L1000");
  await log.showsLine(1000, "1000");
  await log.pressWhenResized("G");
  await page.setViewportSize({ width: 1000, height: 720 });
  await log.showsLine(2000, "2000");
});

sees("following goes on when the window becomes higher, by a bar that goes or by itself", async ({ page }) => {
  const { log, agent } = await followed(page, "moments-higher");
  let lines = 300;
  const goesOn = async () => {
    lines += 1;
    agent.does(`echo ${lines}`);
    await log.showsLine(lines, String(lines));
    await log.isPressed("follow");
  };
  await log.press("/");
  await log.part("find-field").waitFor();
  await goesOn();
  await log.press("Escape");
  await log.part("find-field").waitFor({ state: "detached" });
  await goesOn();
  for (const height of [721, 900]) {
    await page.setViewportSize({ width: 1280, height });
    await goesOn();
  }
  await log.row(lines).locator(".log-number").click();
  await log.part("chosen").waitFor();
  await log.press("G");
  await goesOn();
  await log.press("Escape");
  await log.part("chosen").waitFor({ state: "detached" });
  await goesOn();
  await agent.done();
});

/** Has a page press a key right behind its own listener for the next message of its log, before any frame. */
async function pressWithNextMessage(page: Page, key: string): Promise<void> {
  await page.evaluate((key) => {
    const press = () =>
      document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    addEventListener("page-was-told", press, { once: true });
  }, key);
}

/** Has the page tell when its own listener has been told of a message. */
function tellOfMessages(): void {
  const listen = EventSource.prototype.addEventListener;
  function listenAndTell(this: EventSource, type: string, listener: EventListener): void {
    const heard = (event: Event) => {
      listener.call(this, event);
      if (type === "message") dispatchEvent(new Event("page-was-told"));
    };
    listen.call(this, type, heard);
  }
  Object.assign(EventSource.prototype, { addEventListener: listenAndTell });
}

sees("a page up in a followed log counts in the very moment in which lines come", async ({ page }) => {
  await page.addInitScript(tellOfMessages);
  const { log, agent } = await followed(page, "moments-told");
  const atEnd = await log.first();
  await pressWithNextMessage(page, "PageUp");
  agent.does("echo 301");
  await log.shows("a page before", (rows) => {
    const top = rows[0]?.sequence ?? 0;
    return top > 200 && top < atEnd - 10;
  });
  await log.isPressed("follow", false);
  // Whoever goes up and to the end again follows.
  await log.press("G");
  await log.isPressed("follow");
  await log.pressAtOnce("PageUp", "G");
  agent.does("echo 302");
  await log.showsLine(302, "302");
  await log.isPressed("follow");
  await agent.done();
});

sees("a page up just after hidden lines came back starts from where these are", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("moments", "moments-hidden");
  agent.does("seq 1 2000");
  await agent.sent(2_000);
  agent.does("echo last >&2");
  await agent.done();
  const log = await LogPage.open(page, server, "moments-hidden");
  await log.showsLine(2_001, "last");
  await log.press("1");
  await log.shows("one line", (rows) => rows.length === 1);
  await log.pressAtOnce("1", "PageUp");
  await log.shows("lines near the end", (rows) => (rows[0]?.sequence ?? 0) > 1_900 && rows.length > 10);
});

sees(
  "a key finds what the key before has asked for, though that is not drawn yet",
  async ({ page }) => {
    const server = await ingest();
    const script = "seq 1 140; echo '+++ first'; seq 1 200; echo '+++ second'; seq 1 400";
    await server.ran("moments", "moments-keys", script);
    const log = await LogPage.open(page, server, "moments-keys");
    await log.part("fold-all").waitFor();
    await log.press("g");
    await log.showsLine(1, "1");
    await log.pressAtOnce("PageDown", "y");
    const top = await log.first();
    assert.ok(top > 10);
    const link = server.url(`/#/workers/moments-keys#L${top}`);
    await until(
      "the link in the clipboard",
      () => page.evaluate(() => navigator.clipboard.readText()),
      (seen) => seen === link,
    );
    // Folding a group whose heading is above the window, and the line behind its heading.
    await page.goto(server.url("/#/workers/moments-keys#L300"));
    await log.showsLine(300, "159");
    await log.press("Escape");
    await log.pressAtOnce("x", "j");
    await page.waitForURL(/line=342$/);
    assert.equal(await log.row(141).locator(".log-fold").getAttribute("aria-expanded"), "false");
  },
  WITH_CLIPBOARD,
);

sees("whoever hides the only stream that there is, and shows it again, is where he was", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-emptied", "seq 1 2000");
  const log = await LogPage.open(page, server, "moments-emptied", "#L1000");
  await log.showsLine(1000, "1000");
  await log.press("Escape");
  const before = await log.first();
  await log.press("1");
  await log.shows("nothing", (rows) => rows.length === 0);
  await log.press("1");
  await log.shows("the same lines", (rows) => rows[0]?.sequence === before);
});

sees("keys that lead down do not begin to follow where there is nothing below", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("moments", "moments-short");
  agent.does("seq 1 5");
  await agent.sent(5);
  const log = await LogPage.open(page, server, "moments-short");
  await log.showsLine(5, "5");
  await log.row(3).locator(".log-number").click();
  await log.isPressed("follow", false);
  await log.press("ArrowDown", "PageDown", "ArrowUp", "PageUp");
  await frames(page);
  await log.isPressed("follow", false);
  await agent.done();
});

sees("the bar is at its end when groups are folded and unfolded there", async ({ page }) => {
  const server = await ingest();
  const script = "seq 1 1000; echo '::group::big'; seq 1 2000; echo '::endgroup::'; seq 1 5";
  await server.ran("moments", "moments-folded", script);
  const log = await LogPage.open(page, server, "moments-folded");
  await log.part("fold-all").waitFor();
  await log.press("G");
  await log.showsLine(3_007, "5");
  const left = () =>
    log.scroller.evaluate((scroller) => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop);
  const height = () => log.scroller.evaluate((scroller) => scroller.scrollHeight);
  let before = await height();
  for (let times = 0; times < 2; times += 1) {
    await log.part("fold-all").click();
    await until("as much as is shown", height, (now) => Math.abs(now - before) > 20_000);
    before = await height();
    await log.showsLine(3_007, "5");
    await until("the bar is at its end", left, (left) => left < 1);
  }
});

sees("a row that is held does not hold back what is scrolled meanwhile", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments", "moments-held", "seq 1 20000");
  const log = await LogPage.open(page, server, "moments-held", "#L1000");
  await log.showsLine(1000, "1000");
  const box = await log.text(1005).boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + 5, box.y + 5);
  await page.mouse.down({ button: "middle" });
  // As the browser scrolls where the middle button is held.
  await log.scroller.evaluate((scroller) => {
    scroller.scrollTop += 1_000;
  });
  await log.shows("other lines", (rows) => (rows[0]?.sequence ?? 0) > 1_030, 3_000);
  await page.mouse.up({ button: "middle" });
});

sees("Escape in the search of tasks leaves what was typed, as the list is of that", async ({ page }) => {
  const server = await ingest();
  await page.goto(server.url());
  const field = page.getByRole("searchbox");
  await field.focus();
  await page.keyboard.type("moments-none");
  await page.waitForURL(/q=moments-none$/);
  await page.keyboard.press("Escape");
  await until("the list has the keys", () => page.evaluate(() => document.activeElement?.tagName !== "INPUT"));
  assert.equal(await field.inputValue(), "moments-none");
});

sees("a range is pressed with Shift held for long, as a keyboard repeats it, while lines come", async ({ page }) => {
  const { log, agent, heard } = await followed(page, "moments-shift");
  await log.row(290).locator(".log-number").click();
  await page.waitForURL(/line=290$/);
  await log.press("f");
  await log.isPressed("follow");
  const box = await log.row(295).locator(".log-number").boundingBox();
  assert.ok(box);
  await page.keyboard.down("Shift");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.keyboard.down("Shift");
  agent.does("seq 301 305");
  await heard();
  await frames(page);
  await page.mouse.up();
  await page.keyboard.up("Shift");
  await page.waitForURL(/line=290-295$/);
  await agent.done();
});

sees("letters that are typed while the list of tasks is narrowed are not lost", async ({ page }) => {
  const server = await ingest();
  await page.goto(server.url());
  const field = page.getByRole("searchbox");
  await field.waitFor();
  // One more letter in the task behind the one that gives the page its address, before that is drawn.
  await field.evaluate((input: HTMLInputElement) => {
    const { replaceState } = history;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(input, `${input.value}b`);
      input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    };
    history.replaceState = (...state) => {
      replaceState.apply(history, state);
      history.replaceState = replaceState;
      port2.postMessage(null);
    };
  });
  await field.focus();
  await page.keyboard.type("a");
  await page.waitForURL(/q=ab$/);
  assert.equal(await field.inputValue(), "ab");
});

sees("a search of tasks that becomes due when a task is opened does not lead back", async ({ page }) => {
  const server = await ingest();
  await server.ran("moments-opened", "moments-opened-0", "true");
  await page.goto(server.url());
  const link = page.getByRole("link", { name: "moments-opened" });
  await link.waitFor();
  await page.evaluate(() => {
    const wait = window.setTimeout;
    const due: (() => void)[] = [];
    Object.assign(globalThis, { due });
    window.setTimeout = ((run: () => void, ms: number) => (ms === 200 ? due.push(run) : wait(run, ms))) as typeof wait;
  });
  await page.getByRole("searchbox").focus();
  await page.keyboard.type("m");
  const due = await link.evaluate((link: HTMLElement) => {
    link.click();
    const { due } = globalThis as unknown as { due: (() => void)[] };
    for (const run of due) run();
    return due.length;
  });
  assert.equal(due, 1, "the search was due");
  await page.getByRole("tab", { name: "moments-opened-0" }).waitFor();
  assert.match(page.url(), /tasks\/moments-opened$/);
});

sees("the worker that somebody reads stays when another one fails, and so does his line", async ({ page }) => {
  const server = await ingest();
  const [one, two] = [server.agent("moments-read", "moments-read-a"), server.agent("moments-read", "moments-read-b")];
  for (const agent of [one, two]) {
    agent.does("seq 1 20");
    await agent.sent(20);
  }
  await page.goto(server.url("/#/tasks/moments-read"));
  const log = new LogPage(page);
  await log.showsLine(5, "5");
  const worker = await log.root.getAttribute("data-worker");
  const [read, other] = worker === one.worker ? [one, two] : [two, one];
  other.does("exit 3");
  await other.done();
  await until(
    "the page knows of it",
    () => page.getByRole("tab").allInnerTexts(),
    (texts) => texts.some((text) => text.includes("exit code 3")),
  );
  await log.atRest();
  assert.equal(await log.root.getAttribute("data-worker"), read.worker);
  await log.row(5).locator(".log-number").click();
  await page.waitForURL(new RegExp(`w=${read.worker}&line=5$`));
  await page.reload();
  await log.showsLine(5, "5");
  assert.equal(await log.root.getAttribute("data-worker"), read.worker);
  await read.done();
});

sees("what is pressed by time, or in the list of tasks, is what comes, whatever comes meanwhile", async ({ page }) => {
  const server = await ownIngest();
  const agent = server.agent("pressed", "pressed-0");
  agent.does("seq 1 300");
  await agent.sent(300);
  await page.goto(server.url("/#/tasks/pressed?show=time"));
  const number = page.locator(".timeline-number", { hasText: "295" });
  await number.waitFor();
  const heard = await hears(page, 305);
  await number.hover();
  await page.mouse.down();
  agent.does("seq 301 305");
  await heard();
  await frames(page);
  await page.mouse.up();
  await page.waitForURL(/workers\/pressed-0/);
  await new LogPage(page).showsLine(295, "295");
  await agent.done();
  await page.goto(server.url());
  const link = page.getByRole("link", { name: "pressed", exact: true });
  await link.hover();
  await page.mouse.down();
  const answered = page.waitForResponse(
    async (response) => /\/tasks/.test(response.url()) && (await response.text()).includes("came-above"),
  );
  await server.ran("came-above", "came-above-0", "true");
  await answered;
  await frames(page);
  await page.mouse.up();
  await page.waitForURL(/tasks\/pressed$/);
});
