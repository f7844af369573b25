/** How soon a key is heard, and how soon there is a frame after it, while a page follows a log. */

import { setTimeout as pause } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { following } from "./probe.js";

/** Turns through the ways to show times, so that each press has all rows drawn anew. */
const KEY = "t";
/** Presses come at no beat that the page's own work could fall into. */
const PAUSE_MS = [20, 90] as const;

interface Heard {
  delays: number[];
  paints: number[];
}

declare global {
  interface Window {
    heard: Heard;
  }
}

export async function keys(browser: Browser, url: string, worker: string, numbers: number[]): Promise<unknown> {
  const [presses = 200] = numbers;
  const page = await following(browser, url, worker);
  await page.evaluate(listen);
  const first = await lastLine(worker, url);
  const began = performance.now();
  for (let press = 0; press < presses; press += 1) {
    await page.keyboard.press(KEY);
    await pause(PAUSE_MS[0] + Math.random() * (PAUSE_MS[1] - PAUSE_MS[0]));
  }
  const rate = ((await lastLine(worker, url)) - first) / ((performance.now() - began) / 1_000);
  await page.waitForFunction((count) => window.heard.paints.length >= count, presses);
  return { ...(await page.evaluate(() => window.heard)), rate };
}

/** Runs in the page. */
function listen(): void {
  window.heard = { delays: [], paints: [] };
  const hear = async ({ timeStamp }: KeyboardEvent) => {
    window.heard.delays.push(performance.now() - timeStamp);
    window.heard.paints.push((await window.probe.painted()) - timeStamp);
  };
  window.addEventListener("keydown", (event) => void hear(event), { capture: true });
}

/** To say at which rate lines came in truth. */
async function lastLine(worker: string, url: string): Promise<number> {
  const answer = await fetch(`${url}/api/v1/workers/${encodeURIComponent(worker)}`);
  return ((await answer.json()) as { last_sequence: number }).last_sequence;
}
