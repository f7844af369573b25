/** What the page costs before it shows something, from what really went over the network. */

import assert from "node:assert/strict";
import type { Page, Request } from "playwright-core";
import { ingest, sees } from "./browser.js";

/** For a first view, from an empty cache. */
const MOST = { requests: 8, bytes: 80_000, script: 60_000 };

interface Cost {
  requests: number;
  bytes: number;
  script: number;
}

async function cost(page: Page, address: string, ready: string): Promise<Cost> {
  const finished: Request[] = [];
  page.on("requestfinished", (request) => finished.push(request));
  await page.goto(address);
  await page.locator("main").getByText(ready).first().waitFor();
  const total = { requests: 0, bytes: 0, script: 0 };
  for (const request of finished) {
    const { responseBodySize, responseHeadersSize } = await request.sizes();
    total.requests += 1;
    total.bytes += responseBodySize + responseHeadersSize;
    if (request.resourceType() === "script") total.script += responseBodySize;
  }
  return total;
}

for (const [name, path] of [
  ["the list of tasks", "/"],
  ["a worker's log", "/#/workers/budget-0"],
] as const) {
  sees(`${name} is shown within its budget of bytes and requests`, async ({ page, note }) => {
    const server = await ingest();
    await server.ran("budget", "budget-0", "seq 1 2000; echo budget");
    const spent = await cost(page, server.url(path), "budget");
    note(`${name}: ${spent.requests} requests, ${spent.bytes} bytes, of which ${spent.script} of script`);
    assert.ok(spent.script > 10_000, "the script was seen");
    for (const what of ["requests", "bytes", "script"] as const) {
      assert.ok(spent[what] <= MOST[what], `${spent[what]} ${what}, at most ${MOST[what]}`);
    }
  });
}

sees("a page that is opened again takes nothing of itself over the network anew", async ({ page }) => {
  const server = await ingest();
  await server.ran("budget", "budget-1", "echo budget");
  await cost(page, server.url(), "budget");
  const statuses: Record<string, number> = {};
  page.on("response", (response) => {
    statuses[new URL(response.url()).pathname] = response.status();
  });
  const again = await cost(page, server.url(), "budget");
  assert.equal(again.script, 0, JSON.stringify(statuses));
});
