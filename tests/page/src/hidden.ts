/** Pages that nobody looks at, and several logs on one page: a browser has six connections to a server for all of them. */

import type { Page } from "playwright-core";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";

/** Hides a page or shows it, also one that is yet to be loaded, as a tab that is opened behind another. */
async function hide(page: Page, hidden: boolean): Promise<void> {
  const change = (hidden: boolean) => {
    Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  };
  await page.addInitScript(change, hidden);
  await page.evaluate(change, hidden);
}

sees("running workers that were opened behind leave the browser its connections", async ({ page, context }) => {
  const server = await ingest();
  const agent = server.agent("hidden", "hidden-tabs");
  agent.does("seq 1 100");
  await agent.sent(100);
  const behind: Page[] = [];
  for (let tab = 0; tab < 7; tab += 1) {
    const opened = await context.newPage();
    behind.push(opened);
    await hide(opened, true);
    await opened.goto(server.url("/#/workers/hidden-tabs"));
    await opened.locator(".log").waitFor();
  }
  const log = await LogPage.open(page, server, "hidden-tabs");
  await log.showsLine(100, "100");
  agent.says("more");
  await log.showsLine(101, "more");
  const [first] = behind;
  if (first) await hide(first, false);
  await new LogPage(first ?? page).showsLine(101, "more");
  await agent.done();
});

sees("a log that was opened behind others is shown as it is by then, not as it was", async ({ page, context }) => {
  const server = await ingest();
  const agent = server.agent("hidden", "hidden-later");
  agent.does("seq 1 100");
  await agent.sent(100);
  const behind = await context.newPage();
  await hide(behind, true);
  await behind.goto(server.url("/#/workers/hidden-later"));
  await behind.locator(".log").waitFor();
  agent.does("seq 101 1000; echo 'error: it broke'; seq 1002 5000; exit 3");
  await agent.done();
  await hide(behind, false);
  const log = new LogPage(behind);
  await log.showsLine(1_001, "error: it broke");
  await page.close();
});

sees("two windows with four logs beside each other are live at once", async ({ page, context }) => {
  const server = await ingest();
  const names = ["a", "b", "c", "d"].map((letter) => `beside-live-${letter}`);
  const agents = names.map((name) => server.agent("beside-live", name));
  for (const agent of agents) agent.says("begun");
  await Promise.all(agents.map((agent) => agent.sent(1)));
  const address = server.url(`/#/tasks/beside-live?show=side&${names.map((name) => `w=${name}`).join("&")}`);
  const windows = [page, await context.newPage()];
  for (const window of windows) {
    await window.goto(address);
    for (const name of names) await new LogPage(window, name).showsLine(1, "begun");
  }
  for (const line of [2, 3]) {
    for (const agent of agents) agent.says(`line ${line}`);
    for (const window of windows)
      for (const name of names) await new LogPage(window, name).showsLine(line, `line ${line}`);
  }
  await Promise.all(agents.map((agent) => agent.done()));
  for (const name of names) await new LogPage(page, name).part("follow").waitFor({ state: "detached" });
});
