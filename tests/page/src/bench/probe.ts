/** What is put into a page before its own script, to tell by the page's own clock when something is to be seen. */

import type { Browser, Page } from "playwright-core";

/** What has not come by then will not. */
const LIMIT_MS = 30_000;

export interface Probe {
  /** Milliseconds from navigation to the frame in which there was something to read. */
  readonly opened: Promise<number>;
  /** The same from a change of the address to the frame in which a line can be read. */
  jumped(hash: string, sequence: number): Promise<number>;
  /** When the next frame has been handed to the compositor. */
  painted(): Promise<number>;
}

declare global {
  interface Window {
    probe: Probe;
  }
}

/** A page in a browser of its own: nothing is cached. */
export async function fresh(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  await page.addInitScript(install, LIMIT_MS);
  return page;
}

/** Opens a log, and waits for its first screen. */
export async function opened(browser: Browser, url: string, worker: string): Promise<Page> {
  const page = await fresh(browser);
  await page.goto(logOf(url, worker), { waitUntil: "commit" });
  await page.evaluate(() => window.probe.opened);
  return page;
}

/** Opens a log that is written, and waits until the page follows it. */
export async function following(browser: Browser, url: string, worker: string): Promise<Page> {
  const page = await fresh(browser);
  await page.goto(logOf(url, worker), { waitUntil: "commit" });
  await page.locator('[data-log="follow"][aria-pressed="true"]').waitFor();
  await page.locator(".log-row .log-text:not(:has(.log-missing))").first().waitFor();
  return page;
}

export function logOf(url: string, worker: string): string {
  return `${url}/#/workers/${encodeURIComponent(worker)}`;
}

/** Runs in the page, and knows nothing that is outside of it. */
function install(limit: number): void {
  const nextTask = (run: () => void) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = run;
    port2.postMessage(null);
  };
  // What the page changes as part of a frame is painted with this one, not with the next.
  let isInFrame = false;
  const inFrame = requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (run) =>
    inFrame((time) => {
      isInFrame = true;
      nextTask(() => {
        isInFrame = false;
      });
      run(time);
    });
  const painted = () =>
    new Promise<number>((resolve) => {
      // Style, layout and paint of a frame come before the next task.
      const after = () => nextTask(() => resolve(performance.now()));
      if (isInFrame) after();
      else inFrame(after);
    });
  const until = (holds: () => boolean) =>
    new Promise<number>((resolve, reject) => {
      const look = () => {
        if (!holds()) return;
        end();
        void painted().then(resolve);
      };
      const end = () => {
        observer.disconnect();
        clearTimeout(timer);
      };
      const observer = new MutationObserver(look);
      // Rows move by their style alone.
      observer.observe(document, { childList: true, subtree: true, characterData: true, attributeFilter: ["style"] });
      const timer = setTimeout(() => {
        end();
        const said = document.querySelector(".log-window")?.textContent ?? document.body.textContent;
        reject(new Error(`not to be seen within ${limit} ms: ${location.hash}; instead: ${said?.slice(0, 2_000)}`));
      }, limit);
      look();
    });
  /** Rows of a log, each with its text; of any other document, some text. */
  const isReadable = () => {
    if (document.getElementById("page") === null) return document.contentType !== "text/html" && hasText();
    return document.querySelector(".log-row") !== null && document.querySelector(".log-row .log-missing") === null;
  };
  const hasText = () => (document.body?.textContent ?? "") !== "";
  const isShown = (sequence: number) => {
    const row = document.querySelector(`.log-row[data-sequence="${sequence}"]`);
    const frame = row?.closest(".log-scroller")?.getBoundingClientRect();
    if (!row || !frame || row.querySelector(".log-missing")) return false;
    const box = row.getBoundingClientRect();
    return box.top >= frame.top && box.top < frame.bottom;
  };
  window.probe = {
    opened: until(isReadable),
    painted,
    async jumped(hash, sequence) {
      const began = performance.now();
      location.hash = hash;
      return (await until(() => isShown(sequence))) - began;
    },
  };
}
