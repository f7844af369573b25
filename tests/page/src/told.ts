/** What a page has been told, whether it shows it or not. */

import type { Page } from "playwright-core";

/** Gives what waits until the page has been told of a line by its live connection. */
export async function hears(page: Page, sequence: number): Promise<() => Promise<boolean>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const told = new Promise<boolean>((resolve) => {
    session.on("Network.eventSourceMessageReceived", ({ data }) => {
      if (data.includes(`"sequence":${sequence}`)) resolve(true);
    });
  });
  return () => told;
}

/** Some frames on: what was to be drawn is. */
export async function frames(page: Page): Promise<void> {
  await page.evaluate(async () => {
    for (let count = 0; count < 5; count += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  });
}
