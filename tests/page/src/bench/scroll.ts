/** Scrolling by real gestures, and what the main thread does for each frame of it, from Chromium's own trace. */

import type { Browser, CDPSession, Page } from "playwright-core";
import { until } from "../wait.js";
import { framesOf, type Work } from "./trace.js";

/** As the screen draws them. */
const FRAMES_PER_SECOND = 60;
/** What a turn of a wheel comes to in a frame. */
const WHEEL_PX = 60;

const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"];

/** Where the scroller is, and how far it goes. */
interface Place {
  at: number;
  range: number;
}

interface Scrolled {
  /** From the first line to the last. */
  through: Work;
  /** As a wheel does it, line by line. */
  wheel: Work;
  heapBytes: number;
}

export async function scroll(browser: Browser, page: Page, frames: number): Promise<Scrolled> {
  const session = await page.context().newCDPSession(page);
  await toStart(page);
  const wheel = await traced(browser, page, () => gesture(session, page, WHEEL_PX * frames, frames));
  const { range } = await toStart(page);
  const through = await traced(browser, page, () => gesture(session, page, range, frames));
  const { at } = await place(page);
  if (at < range - 1) throw new Error(`the gesture has come to ${at} px of ${range}`);
  return { through, wheel, heapBytes: await heap(session) };
}

async function toStart(page: Page): Promise<Place> {
  await page.locator(".log-scroller").press("Home");
  const look = () => place(page);
  return until("the log is at its start", look, ({ at }) => at === 0);
}

/** Scrolls down so many pixels in so many frames. */
async function gesture(session: CDPSession, page: Page, pixels: number, frames: number): Promise<void> {
  const box = await page.locator(".log-scroller").boundingBox();
  if (!box) throw new Error("there is no log");
  await session.send("Input.synthesizeScrollGesture", {
    x: box.x + box.width / 2,
    y: box.y + box.height / 2,
    // A little more than there is: it stops at the end.
    yDistance: -Math.ceil(pixels * 1.02),
    speed: Math.ceil((pixels * FRAMES_PER_SECOND) / frames),
    gestureSourceType: "mouse",
    preventFling: true,
  });
}

async function traced(browser: Browser, page: Page, run: () => Promise<void>): Promise<Work> {
  await browser.startTracing(page, { categories: CATEGORIES });
  let failed: unknown;
  await run().catch((error: unknown) => {
    failed = error;
  });
  const trace = await browser.stopTracing();
  if (failed) throw failed;
  return framesOf(JSON.parse(trace.toString()));
}

function place(page: Page): Promise<Place> {
  return page.locator(".log-scroller").evaluate((scroller) => ({
    at: scroller.scrollTop,
    range: scroller.scrollHeight - scroller.clientHeight,
  }));
}

/** All that the page keeps for itself, of script and of the document. */
async function heap(session: CDPSession): Promise<number> {
  // What the first one frees may hold more.
  for (let round = 0; round < 2; round += 1) await session.send("HeapProfiler.collectGarbage");
  const usage = await session.send("Runtime.getHeapUsage");
  return usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
}
