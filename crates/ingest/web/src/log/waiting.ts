/** Lines that came by themselves and were not drawn yet: whole batches, as few as hold the last `MAX_WAITING`. */

import type { Heard } from "./live";

/** Of the lines that came between two drawings so many are read; those before them when somebody goes there. */
export const MAX_WAITING = 512;

interface Batch {
  readonly last: number;
  readonly lines: Heard["data"];
}

export class Waiting {
  #batches: Batch[] = [];

  /** Lines up to one, maybe as JSON yet. */
  add(last: number, lines: Heard["data"]): void {
    this.#batches.push({ last, lines });
    const needless = this.#batches.findIndex((batch) => batch.last > last - MAX_WAITING);
    if (needless > 0) this.#batches.splice(0, needless);
  }

  /** All that is there, and nothing any more. */
  take(): Heard["data"][] {
    const all = this.#batches.map(({ lines }) => lines);
    if (all.length > 0) this.#batches = [];
    return all;
  }
}
