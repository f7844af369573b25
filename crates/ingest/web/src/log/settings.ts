/** How people like to read logs; kept by the browser, the same for all logs. */

import { stored } from "../stored";

// The first of each is how it is before anybody has chosen.
export const wraps = stored("log.wrap", ["on", "off"]);
export const times = stored("log.times", ["off", "absolute", "relative", "delta"]);
export const zone = stored("log.zone", ["local", "utc"]);

export function turnWrap(): void {
  wraps.set(wraps.value === "on" ? "off" : "on");
}

export function turnZone(): void {
  zone.set(zone.value === "utc" ? "local" : "utc");
}
