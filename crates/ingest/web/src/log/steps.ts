/** The lines that keys lead to from where the person is: the next one, the next group, the next failure. */

import type { Choice } from "./choice";
import type { Log } from "./model";
import type { Sight } from "./sight";

/** What has to be known of a log. */
type Facts = Pick<Log, "rows" | "groups" | "failures">;

export class Steps {
  readonly #log: Facts;
  readonly #choice: Choice;
  readonly #sight: Sight;
  /** Where in the log the person asked to be last. */
  lead: "start" | "end" = "end";

  constructor(log: Facts, choice: Choice, sight: Sight) {
    this.#log = log;
    this.#choice = choice;
    this.#sight = sight;
  }

  /** The line that keys start from, if it can be seen. */
  get cursor(): number | null {
    const { cursor } = this.#choice;
    return cursor !== null && this.#sight.has(cursor) ? cursor : null;
  }

  /** The same, or the first that is seen. */
  get here(): number {
    return this.cursor ?? this.#sight.top;
  }

  /** The line before which the one before is sought: where no line that is seen is chosen, and the end is, behind that. */
  get behind(): number {
    return this.cursor ?? (this.#isAtEnd ? this.#log.rows.end + 1 : this.#sight.top);
  }

  /** The end is seen, and where the beginning is as well the person went to the end. */
  get #isAtEnd(): boolean {
    const { rows } = this.#log;
    const isSeen = rows.rowOf(this.#sight.last) >= rows.count - 1;
    return isSeen && (this.lead === "end" || rows.rowOf(this.#sight.top) > 0);
  }

  /** The line after which the next one is sought: where no line that is seen is chosen, one at the top is still ahead. */
  get before(): number {
    return this.cursor ?? this.#sight.top - 1;
  }

  /**
   * The line so many rows from the cursor; where that cannot be seen the first that is, or the last line for a step up where
   * that is seen. A range goes on from its end. None where nothing is known of the log yet.
   */
  neighbour(by: number, extend: boolean): number | null {
    const { rows } = this.#log;
    if (rows.count === 0) return null;
    const cursor = (extend ? this.#choice.end : null) ?? this.cursor;
    if (cursor === null) return by < 0 && this.#isAtEnd ? this.#sight.last : this.#sight.top;
    return rows.sequenceOf(Math.max(0, Math.min(rows.rowOf(cursor) + by, rows.count - 1)));
  }

  /** The first line of the next or the previous group. */
  group(forward: boolean): number | null {
    const { groups } = this.#log;
    const group = forward ? groups.next(this.before) : groups.previous(this.behind);
    return group?.first ?? null;
  }

  /** The next line that says that something failed. */
  failure(): number | null {
    return this.#log.failures.find((sequence) => sequence > this.before) ?? null;
  }
}
