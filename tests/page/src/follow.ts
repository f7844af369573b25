/** Following a log that grows, and not following it. */

import assert from "node:assert/strict";
import { ingest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

sees("following yields to the wheel, counts what comes, and comes back by a key", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("follow", "follow-wheel");
  agent.does("seq 1 300");
  await agent.sent(300);
  const log = await LogPage.open(page, server, "follow-wheel");
  await log.showsLine(300, "300");
  await log.isPressed("follow");
  await log.wheel(-400);
  await log.isPressed("follow", false);
  const before = await log.rows();
  agent.does("seq 301 350");
  await agent.sent(350);
  await until(
    "the count of new lines",
    () => log.part("new-lines").innerText(),
    (text) => text.includes("50 new lines"),
  );
  assert.deepEqual(
    await log.sequences(),
    before.map(({ sequence }) => sequence),
    "what is looked at stays",
  );
  await log.press("f");
  await log.showsLine(350, "350");
  await log.isPressed("follow");
  assert.equal(await log.part("new-lines").count(), 0);
  agent.does("seq 351 400");
  await log.showsLine(400, "400");
  await agent.done();
});

sees(
  "the count of new lines stays when a person goes elsewhere, and ends at the end, also of a closed log",
  async ({ page }) => {
    const server = await ingest();
    const agent = server.agent("follow", "follow-closed");
    agent.does("seq 1 300");
    await agent.sent(300);
    const log = await LogPage.open(page, server, "follow-closed");
    await log.showsLine(300, "300");
    await log.wheel(-400);
    await log.isPressed("follow", false);
    agent.does("seq 301 350");
    const count = () => log.part("new-lines").allInnerTexts();
    await until("the count", count, ([text]) => text?.includes("50 new lines") ?? false);
    await log.press("g");
    await log.showsLine(1, "1");
    assert.match((await count())[0] ?? "", /50 new lines/);
    await agent.done();
    await log.press("G");
    await log.showsLine(350, "350");
    await until("no count", count, (texts) => texts.length === 0);
  },
);

sees("the count of new lines is a button that leads to them", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("follow", "follow-button");
  agent.does("seq 1 200");
  await agent.sent(200);
  const log = await LogPage.open(page, server, "follow-button");
  await log.showsLine(200);
  await log.press("g");
  await log.showsLine(1, "1");
  agent.does("echo more");
  await log.part("new-lines").click();
  await log.showsLine(201, "more");
  await log.isPressed("follow");
  await agent.done();
});

sees("scrolling down to the end follows again", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("follow", "follow-again");
  agent.does("seq 1 200");
  await agent.sent(200);
  const log = await LogPage.open(page, server, "follow-again");
  await log.showsLine(200);
  await log.wheel(-300);
  await log.isPressed("follow", false);
  await log.wheel(1_000);
  await log.isPressed("follow");
  agent.does("seq 201 260");
  await log.showsLine(260, "260");
  await agent.done();
});

sees("a log without a line says so, and shows the first when it comes", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("follow", "follow-empty");
  // The agent is known when its command has ended or has printed: a system line of its own would count as one.
  agent.does("echo first");
  await agent.sent(1);
  await server.ran("follow", "follow-silent", "true");
  await page.goto(server.url("/#/workers/follow-silent"));
  await page.getByText("The command wrote nothing.").waitFor();
  await page.goto(server.url("/#/workers/follow-comes-later"));
  await page.getByText("There is no worker follow-comes-later").waitFor();
  const later = server.agent("follow", "follow-comes-later");
  later.says("here it is");
  await new LogPage(page).showsLine(1, "here it is");
  await Promise.all([agent.done(), later.done()]);
});

sees("the end of a log is told where it is read, without a reload", async ({ page }) => {
  const server = await ingest();
  const agent = server.agent("follow", "follow-ends");
  agent.does("echo begun");
  await agent.sent(1);
  await LogPage.open(page, server, "follow-ends");
  await page.locator(".worker-bar", { hasText: "Running" }).waitFor();
  agent.does("echo last; exit 5");
  await agent.done();
  await page.locator(".worker-bar", { hasText: "exit code 5" }).waitFor();
  await new LogPage(page).showsLine(2, "last");
});
