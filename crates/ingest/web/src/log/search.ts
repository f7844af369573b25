/** A question to the server about the whole log, answered page by page, and gone on with as the log grows. */

import { later } from "../answers";
import { ApiError, type SearchQuery, type SearchResult } from "../api";
import { waitAfter } from "./backoff";
import { Hits } from "./hits";

/** Runs of matching lines that are kept: more could not be told apart on a scroll bar, nor gone through by hand. */
export const MAX_RANGES = 100_000;
const PAGE = 10_000;

export type Ask = (query: SearchQuery, signal: AbortSignal) => Promise<SearchResult>;

export class Search {
  readonly query: SearchQuery;
  readonly #ask: Ask;
  readonly #changed: () => void;
  readonly #left = new AbortController();
  hits = new Hits();
  /** The last line that was looked at. */
  through = 0;
  /** Why there is no answer. */
  error: unknown = null;
  #busy = false;
  #wanted = 0;
  #failures = 0;

  constructor(query: SearchQuery, ask: Ask, changed: () => void) {
    this.query = query;
    this.#ask = ask;
    this.#changed = changed;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** There may be more, but so many are enough. */
  get full(): boolean {
    return this.hits.ranges.length >= MAX_RANGES;
  }

  /** Looks at what there is up to a line, where it has not yet. */
  async upTo(end: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, end);
    if (this.#busy || this.error !== null) return;
    this.#busy = true;
    try {
      while (this.through < this.#wanted && !this.full && !this.#left.signal.aborted) await this.#tried();
    } catch (error) {
      if (!this.#left.signal.aborted) this.error = error;
    } finally {
      this.#busy = false;
      if (!this.#left.signal.aborted) this.#changed();
    }
  }

  close(): void {
    this.#left.abort();
  }

  /** A server that has no time now is asked again; what it refuses is not. */
  async #tried(): Promise<void> {
    try {
      await this.#page();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError && error.isTransient) || this.#left.signal.aborted) throw error;
      this.#failures += 1;
      const wait = Math.max(error.retryAfterMs ?? 0, waitAfter(this.#failures, Math.random()));
      const asked = error.retryAfterMs !== null && error.retryAfterMs !== undefined;
      await new Promise<void>((resolve) => later(wait, resolve, asked ? null : resolve));
    }
  }

  async #page(): Promise<void> {
    const from = this.through + 1;
    const answer = await this.#ask({ ...this.query, from, limit: PAGE }, this.#left.signal);
    if (this.#left.signal.aborted) return;
    this.hits = this.hits.with(answer.ranges);
    // An answer that looked at nothing new would be asked for without end.
    if (answer.through < from && answer.next === null) this.#wanted = this.through;
    this.through = Math.max(this.through, answer.through);
    this.#changed();
  }
}
