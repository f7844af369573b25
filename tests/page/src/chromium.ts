/** Debian's Chromium, as whatever drives it starts it. */

import { type Browser, chromium } from "playwright-core";

const PROGRAM = process.env["OTTO_CHROMIUM"] ?? "/usr/bin/chromium";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** With scroll bars that take room, as most people have them. */
export function launch(bars: "shown" | "hidden" = "shown"): Promise<Browser> {
  const ignoreDefaultArgs = bars === "shown" ? ["--hide-scrollbars"] : [];
  return chromium.launch({ executablePath: PROGRAM, args: FLAGS, ignoreDefaultArgs });
}
