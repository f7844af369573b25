/** Each view of the page, of a task with something of everything, and what axe-core finds in it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults, RunOptions } from "axe-core";
import type { Page } from "playwright-core";
import { ingest } from "./browser.js";
import type { Ingest } from "./ingest.js";

let made: Promise<unknown> | undefined;

/** A task with something of everything: groups, colours, both streams, a failure, a worker that went well. */
async function task(server: Ingest): Promise<void> {
  made ??= (async () => {
    const failed = [
      String.raw`echo '::group::Set up'; seq 1 20; echo '::endgroup::'; printf '\033[32mgreen\033[0m \033[1;31mred\033[0m \033[2mdim\033[0m \033[93mbright\033[0m\n'`,
      String.raw`echo 'a warning' >&2; printf 'get: 10%%\rget: done\n'; echo '::warning::look out'; echo '::error::it broke'; exit 2`,
    ];
    await server.ran("people", "people-failed", failed.join("\n"));
    await server.ran("people", "people-well", "seq 1 300");
  })();
  await made;
}

export const VIEWS = [
  { name: "the list of tasks", path: "/", ready: "people" },
  { name: "a task's tabs", path: "/#/tasks/people", ready: "it broke" },
  { name: "workers side by side", path: "/#/tasks/people?show=side", ready: "it broke" },
  { name: "a task by time", path: "/#/tasks/people?show=time", ready: "it broke" },
  { name: "a worker's log", path: "/#/workers/people-failed", ready: "it broke" },
  { name: "what is unknown", path: "/#/workers/people-unknown", ready: "There is no worker" },
] as const;

export async function opened(page: Page, { path, ready }: { path: string; ready: string }): Promise<void> {
  const server = await ingest();
  await task(server);
  await page.goto(server.url(path));
  await page.locator("main").getByText(ready).first().waitFor();
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds that is serious or worse. It comes past the page's policy, which takes no other script. */
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const results = await page.evaluate(() => {
    const { axe } = globalThis as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } };
    // Of WCAG 2.2, and not looked at otherwise.
    return axe.run({ rules: { "target-size": { enabled: true } } });
  });
  assert.ok(results.passes.length > 5, "it has looked");
  const bad = results.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} (${failureSummary})`)}`,
  );
}
