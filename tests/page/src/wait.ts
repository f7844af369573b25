/** Waits for what is to come, and says what was there instead when it does not. */

import { setTimeout as pause } from "node:timers/promises";

/** What has not come by then will not. */
export const LIMIT_MS = 30_000;

/** From one look to the next. */
const EVERY_MS = 25;

/** Looks again and again until it holds; gives what was seen. A look that fails is one that saw nothing. */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  holds: (seen: T) => boolean = (seen) => Boolean(seen),
  limit = LIMIT_MS,
): Promise<T> {
  const end = Date.now() + limit;
  let last = "nothing";
  do {
    try {
      const seen = await look();
      if (holds(seen)) return seen;
      last = JSON.stringify(seen) ?? String(seen);
    } catch (error) {
      last = String(error);
    }
    await pause(EVERY_MS);
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${limit} ms; last seen: ${last.slice(0, 4_000)}`);
}
