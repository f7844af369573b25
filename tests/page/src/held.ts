/** Answers that are held back. */

import type { Page } from "playwright-core";

/** Holds back what a page asks for at such addresses, until what is given is called. */
export async function holdBack(page: Page, addresses: string): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(addresses, (route) => released.then(() => route.continue()));
  return release;
}
