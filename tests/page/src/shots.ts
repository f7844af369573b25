/**
 * Pictures of each view for docs/page.md, of a log-ingest that real agents have sent builds to. Each is taken light and
 * dark, on a desk and on a phone.
 *
 *   node shots.js FOLDER
 */

import { launch } from "./chromium.js";
import { Ingest } from "./ingest.js";
import { endAll } from "./process.js";
import { builds } from "./shots/builds.js";
import { SCREENS, take } from "./shots/take.js";
import { VIEWS } from "./shots/views.js";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("usage: shots.js FOLDER");
const ingest = await Ingest.start();
// Pictures are of the page, and not of a system's bars.
const browser = await launch("hidden");
try {
  const running = await builds(ingest);
  for (const screen of SCREENS) {
    const views = VIEWS.filter((view) => (view.screen ?? screen.name) === screen.name);
    for (const view of views) await take(browser, ingest, screen, view, folder);
  }
  await running.end();
} finally {
  await browser.close();
  await endAll();
  await ingest.end();
}
