/** Lines that match, as ranges: which is the next one, and how many there are before it. */

import { partition, type Range } from "./rows";

export class Hits {
  readonly ranges: readonly Range[];
  /** Lines before each range. */
  readonly #before: Float64Array;
  readonly count: number;

  /** The ranges must be sorted and apart. */
  constructor(ranges: readonly Range[] = []) {
    this.ranges = ranges;
    this.#before = new Float64Array(ranges.length);
    let count = 0;
    ranges.forEach(([first, last], at) => {
      this.#before[at] = count;
      count += last - first + 1;
    });
    this.count = count;
  }

  /** With ranges that begin behind these. */
  with(more: readonly Range[]): Hits {
    const [first, ...rest] = more;
    if (!first) return this;
    const top = this.ranges[this.ranges.length - 1];
    if (top && top[1] + 1 >= first[0]) {
      return new Hits([...this.ranges.slice(0, -1), [top[0], Math.max(top[1], first[1])], ...rest]);
    }
    return new Hits([...this.ranges, ...more]);
  }

  has(sequence: number): boolean {
    const range = this.ranges[this.#from(sequence) - 1];
    return range !== undefined && range[1] >= sequence;
  }

  /** The first that matches behind a line. */
  after(sequence: number): number | null {
    if (this.has(sequence + 1)) return sequence + 1;
    return this.ranges[this.#from(sequence + 1)]?.[0] ?? null;
  }

  /** The last that matches before a line. */
  before(sequence: number): number | null {
    const range = this.ranges[this.#from(sequence - 1) - 1];
    return range ? Math.min(range[1], sequence - 1) : null;
  }

  /** A hit's number among all, from 1; of another line that of the hit before it. */
  ordinal(sequence: number): number {
    const at = this.#from(sequence) - 1;
    const range = this.ranges[at];
    return range ? (this.#before[at] ?? 0) + Math.min(sequence, range[1]) - range[0] + 1 : 0;
  }

  /** Ranges that begin at a line or before it. */
  #from(sequence: number): number {
    return partition(this.ranges.length, (at) => (this.ranges[at]?.[0] ?? 0) <= sequence);
  }
}
