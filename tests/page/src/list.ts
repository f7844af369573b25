/** The list of tasks. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ingest, ownIngest, sees } from "./browser.js";
import { until } from "./wait.js";

/** Names and states of the tasks that are listed, from above. */
async function listed(page: Page): Promise<string[]> {
  return page.locator("table.tasks tbody tr").evaluateAll((rows) =>
    rows.map((row) => {
      const name = row.querySelector("td.name")?.textContent;
      const state = row.querySelector(".standing > span")?.textContent;
      return `${name}: ${state}`;
    }),
  );
}

async function lists(page: Page, expected: readonly string[]): Promise<void> {
  await until(
    "the list",
    () => listed(page),
    (seen) => JSON.stringify(seen) === JSON.stringify(expected),
  );
}

sees("the list of tasks says that it is empty, fills by itself, and shows how a task ends", async ({ page }) => {
  const server = await ownIngest();
  await page.goto(server.url());
  await page.getByText("No task has sent a line yet").waitFor();
  const agent = server.agent("fills-by-itself", "fills-by-itself-0");
  agent.does("echo begun");
  await lists(page, ["fills-by-itself: Running"]);
  agent.does("exit 4");
  await agent.done();
  await lists(page, ["fills-by-itself: Failed"]);
});

sees("failures come first where somebody wants that, also after a reload", async ({ page }) => {
  const server = await ownIngest();
  await server.ran("a-failed", "a-0", "exit 1");
  await server.ran("b-done", "b-0", "true");
  const agent = server.agent("c-runs", "c-0");
  agent.does("echo begun");
  await agent.sent(1);
  await page.goto(server.url());
  await lists(page, ["c-runs: Running", "b-done: Done", "a-failed: Failed"]);
  await page.getByLabel("Failures first").check();
  const failuresFirst = ["a-failed: Failed", "c-runs: Running", "b-done: Done"];
  await lists(page, failuresFirst);
  await page.reload();
  await lists(page, failuresFirst);
  await page.keyboard.press("f");
  await lists(page, ["c-runs: Running", "b-done: Done", "a-failed: Failed"]);
  await page.getByRole("radio", { name: "Failed" }).click();
  await lists(page, ["a-failed: Failed"]);
  await page.getByRole("radio", { name: "Running" }).click();
  await lists(page, ["c-runs: Running"]);
  await page.goBack();
  await lists(page, ["a-failed: Failed"]);
  await agent.done();
});

sees("a search for tasks is in the address, so that a reload and a link keep it", async ({ page, context }) => {
  const server = await ingest();
  await server.ran("searched-apple", "searched-apple-0", "true");
  await server.ran("searched-pear", "searched-pear-0", "true");
  await page.goto(server.url());
  await page.getByText("searched-pear").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("SEARCHED-A");
  await lists(page, ["searched-apple: Done"]);
  await page.reload();
  await lists(page, ["searched-apple: Done"]);
  const other = await context.newPage();
  await other.goto(page.url());
  await lists(other, ["searched-apple: Done"]);
  assert.equal(await other.getByRole("searchbox").inputValue(), "SEARCHED-A");
});

sees("a search that finds no task says so, and a press clears it", async ({ page }) => {
  const server = await ingest();
  await server.ran("cleared", "cleared-0", "true");
  await page.goto(server.url("/#/?q=there-is-no-such-task"));
  await page.getByText("No task matches").waitFor();
  await page.getByRole("button", { name: "Clear search and filters" }).click();
  await until(
    "the list",
    () => listed(page),
    (seen) => seen.includes("cleared: Done"),
  );
});

sees("the list is gone through by keys: down, up, open, and up again from the task", async ({ page }) => {
  const server = await ownIngest();
  await server.ran("keys-first", "keys-first-0", "true");
  await server.ran("keys-second", "keys-second-0", "true");
  await page.goto(server.url());
  await lists(page, ["keys-second: Done", "keys-first: Done"]);
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  for (const [key, name] of [
    ["j", "keys-second"],
    ["j", "keys-first"],
    ["k", "keys-second"],
    ["j", "keys-first"],
  ] as const) {
    await page.keyboard.press(key);
    await until(`${name} has the focus`, focused, (text) => text === name);
  }
  await page.keyboard.press("Enter");
  await page.getByRole("tab", { name: "keys-first-0" }).waitFor();
  await page.keyboard.press("u");
  await lists(page, ["keys-second: Done", "keys-first: Done"]);
});

sees("a task and a worker that nobody knows are said to be unknown, with a way on", async ({ page }) => {
  const server = await ingest();
  await page.goto(server.url("/#/tasks/nobody-knows-it"));
  await page.getByText("There is no task nobody-knows-it").waitFor();
  await page.goto(server.url("/#/workers/nobody-knows-it"));
  await page.getByText("There is no worker nobody-knows-it").waitFor();
  await page.getByRole("link", { name: "Go to the list of tasks" }).click();
  await page.getByRole("searchbox").waitFor();
  await page.goto(server.url("/#/nowhere"));
  await page.locator("main").getByText("There is no such page").waitFor();
});
