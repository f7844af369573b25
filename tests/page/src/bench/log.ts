/** A log of very many lines: its first screen, the way to any line, scrolling, and the memory that this takes. */

import type { Browser, Page } from "playwright-core";
import { fresh, logOf, opened } from "./probe.js";
import { scroll } from "./scroll.js";

interface State {
  last_sequence: number;
}

export async function log(browser: Browser, url: string, worker: string, numbers: number[]): Promise<unknown> {
  const [screens = 10, jumps = 50, frames = 1_000] = numbers;
  const bare = `${url}/api/v1/workers/${encodeURIComponent(worker)}`;
  const state = (await (await fetch(bare)).json()) as State;
  const limits: number[] = [];
  const screenTimes: number[] = [];
  // They take turns, as the machine itself changes while it is measured.
  for (let round = 0; round < screens; round += 1) {
    limits.push(await openingOf(browser, bare));
    screenTimes.push(await openingOf(browser, logOf(url, worker)));
  }
  const page = await opened(browser, url, worker);
  const jumpTimes = await jumping(page, worker, state.last_sequence, jumps);
  const scrolled = await scroll(browser, page, frames);
  await page.context().close();
  return { lines: state.last_sequence, limits, screens: screenTimes, jumps: jumpTimes, ...scrolled };
}

async function openingOf(browser: Browser, address: string): Promise<number> {
  const page = await fresh(browser);
  await page.goto(address, { waitUntil: "commit" });
  const took = await page.evaluate(() => window.probe.opened);
  await page.context().close();
  return took;
}

/** By links to lines, each anywhere in the log. */
async function jumping(page: Page, worker: string, lines: number, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let jump = 0; jump < count; jump += 1) {
    const line = 1 + Math.floor(Math.random() * lines);
    const to = { hash: `#/workers/${encodeURIComponent(worker)}#L${line}`, line };
    times.push(await page.evaluate(({ hash, line }) => window.probe.jumped(hash, line), to));
  }
  return times;
}
