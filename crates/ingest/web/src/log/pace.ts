/** How often a screen reader is told of new lines: soon at first, and ever less while they keep coming. */

import type { Rows } from "./rows";

const DISTANCES_MS = [5_000, 30_000, 120_000];
/** After so long without a line the next one is news again. */
const QUIET_MS = 30_000;

export class Pace {
  /** The last line that was told of. */
  #told = 0;
  #seen = 0;
  #saidAt = Number.NEGATIVE_INFINITY;
  #cameAt = Number.NEGATIVE_INFINITY;
  #step = 0;

  /** Lines to tell of now, of those that are shown; none where it is not time, or where there was no log before. */
  look(rows: Rows, now: number): number {
    const { end } = rows;
    const began = this.#seen > 0;
    if (!began) this.#told = end;
    if (end > this.#seen) {
      if (now - this.#cameAt >= QUIET_MS) this.#step = 0;
      this.#cameAt = now;
    }
    this.#seen = end;
    const fresh = rows.count - rows.shownUpTo(this.#told);
    if (fresh <= 0 || now - this.#saidAt < (DISTANCES_MS[this.#step] ?? 0)) return 0;
    this.#told = end;
    this.#saidAt = now;
    this.#step = Math.min(this.#step + 1, DISTANCES_MS.length - 1);
    return fresh;
  }
}
