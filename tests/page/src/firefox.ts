/** The main path in Firefox, by WebDriver BiDi: the list, a task, a log that is followed, searched and linked to. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import puppeteer, { type Page } from "puppeteer-core";
import { ingest } from "./browser.js";
import { until } from "./wait.js";

const FIREFOX = process.env["OTTO_FIREFOX"] ?? "/usr/bin/firefox-esr";

/** The texts of the rows that are drawn. */
const rows = (page: Page) => page.$$eval(".log-row .log-text", (rows) => rows.map((row) => row.textContent));

async function shows(page: Page, text: string): Promise<void> {
  await until(
    `the log shows ${text}`,
    () => rows(page),
    (seen) => seen.includes(text),
  );
}

const missing = existsSync(FIREFOX) ? false : `${FIREFOX} is not here`;

test("the main path works in Firefox as well", { timeout: 150_000, skip: missing }, async () => {
  const server = await ingest();
  const agent = server.agent("firefox", "firefox-0");
  agent.does("seq 1 3000; echo needle; seq 3002 5000");
  await agent.sent(5_000);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, headless: true });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(server.url("/#/?q=firefox"));
    await (await page.waitForSelector("td.name > a"))?.click();
    await shows(page, "5000");
    agent.does("seq 5001 5100");
    await shows(page, "5100");
    await page.keyboard.press("g");
    await shows(page, "1");
    await page.keyboard.press("/");
    await page.keyboard.type("needle");
    await shows(page, "needle");
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    await shows(page, "5100");
    await page.goto(server.url("/#/workers/firefox-0#L2500-L2502"));
    await shows(page, "2501");
    const marked = () => page.$$eval(".log-selected .log-text", (rows) => rows.map((row) => row.textContent));
    await until("the lines of the link are marked", marked, (seen) => seen.join() === "2500,2501,2502");
    agent.does("exit 3");
    await agent.done();
    await page.waitForFunction(() => document.querySelector(".worker-bar")?.textContent?.includes("exit code 3"));
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
});
