/** From a line's own clock reading, as its first word, to the document of a page that follows. */

import type { Browser } from "playwright-core";
import { following } from "./probe.js";

export async function live(browser: Browser, url: string, worker: string, numbers: number[]): Promise<unknown> {
  const [seconds = 10] = numbers;
  const page = await following(browser, url, worker);
  const ages = await page.evaluate(watch, seconds * 1_000);
  return { lines: ages };
}

/** Runs in the page: how old each line is when it comes into the document. One that is older than this was replayed. */
function watch(time: number): Promise<number[]> {
  const clock = () => performance.timeOrigin + performance.now();
  const since = clock();
  const ages: number[] = [];
  let last = 0;
  const observer = new MutationObserver(() => {
    const now = clock();
    const before = last;
    for (const row of document.querySelectorAll<HTMLElement>(".log-row")) {
      const sequence = Number(row.dataset["sequence"]);
      const written = Number.parseInt(row.querySelector(".log-text")?.textContent ?? "", 10) / 1_000;
      if (sequence <= before || !(written >= since)) continue;
      last = Math.max(last, sequence);
      ages.push(now - written);
    }
  });
  observer.observe(document, { childList: true, subtree: true, characterData: true });
  return new Promise((resolve) => {
    setTimeout(() => {
      observer.disconnect();
      resolve(ages);
    }, time);
  });
}
