/** The way through the matches of a search: to the first from where the person was, to the next, and on from the other end. */

import type { Log } from "./model";

export interface Match {
  readonly line: number;
  /** There was none that way; it is the first from the other end. */
  readonly wrapped: boolean;
}

export class Finding {
  readonly #log: Log;
  #from: number | null = null;
  /** The match that was gone to, until it is seen also where it is far to the side. */
  unseen: number | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The line from which it is to lead to a match, if it has not yet. */
  get from(): number | null {
    return this.#from;
  }

  /** A search has begun, to lead to its first match from a line on, or nowhere. */
  begin(from: number | null): void {
    this.#from = from;
  }

  /** The person has gone elsewhere: it leads nowhere by itself any more. */
  drop(): void {
    this.#from = null;
    this.unseen = null;
  }

  /** The match that a search leads to that has begun, once it is known. */
  first(): number | null {
    const { search } = this.#log;
    if (this.#from === null || !search) return null;
    const hit = search.hits.after(this.#from - 1) ?? (search.busy ? null : search.hits.after(0));
    // Where all was looked through and there is none, what comes later leads nobody away.
    if (hit !== null || !search.busy) this.#from = null;
    return hit;
  }

  /** The next match from a line, or the previous one; nothing where there is none at all. */
  next(here: number, forward: boolean): Match | null {
    const hits = this.#log.search?.hits;
    if (!hits) return null;
    const line = forward ? hits.after(here) : hits.before(here);
    if (line !== null) return { line, wrapped: false };
    const other = forward ? hits.after(0) : hits.before(Number.MAX_SAFE_INTEGER);
    return other === null ? null : { line: other, wrapped: true };
  }
}
