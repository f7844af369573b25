/** Takes a picture of a view. */

import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { Ingest } from "../ingest.js";

export interface View {
  readonly name: string;
  /** Only on this one. */
  readonly screen?: string;
  /** The part of the address behind the `#`. */
  readonly address: string;
  /** Does what a person does, and waits for what is to be on the picture. */
  readonly prepare: (page: Page) => Promise<unknown>;
}

export interface Screen {
  readonly name: string;
  readonly options: BrowserContextOptions;
}

const DESK: BrowserContextOptions = { viewport: { width: 1200, height: 720 } };

const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 760 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

export const SCREENS: readonly Screen[] = [
  { name: "light", options: { ...DESK, colorScheme: "light" } },
  { name: "dark", options: { ...DESK, colorScheme: "dark" } },
  { name: "phone-light", options: { ...PHONE, colorScheme: "light" } },
  { name: "phone-dark", options: { ...PHONE, colorScheme: "dark" } },
];

/** One picture, with nothing in it that moves. */
export async function take(
  browser: Browser,
  ingest: Ingest,
  screen: Screen,
  view: View,
  folder: string,
): Promise<void> {
  const context = await browser.newContext({ locale: "en-US", reducedMotion: "reduce", ...screen.options });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(ingest.url(`/#${view.address}`));
    await view.prepare(page);
    await page.screenshot({ path: `${folder}/${view.name}-${screen.name}.png`, animations: "disabled" });
  } finally {
    await context.close();
  }
}
