/**
 * Which line is in which row. Lines are numbered from 1 without a hole; rows leave out what is hidden: what a gap stands
 * for, folded groups, lines of other streams. A row counts from 0. Both ways take O(log holes).
 */

/** First and last, both included. */
export type Range = readonly [number, number];

export class Rows {
  /** The last line that there is. */
  readonly end: number;
  readonly #holes: readonly Range[];
  /** Lines hidden before each hole. */
  readonly #before: Float64Array;

  /** The holes must be sorted and apart, as `union` makes them. */
  constructor(end: number, holes: readonly Range[] = [], before = hiddenBefore(holes)) {
    this.end = end;
    this.#holes = holes;
    this.#before = before;
  }

  /** The same holes in a log that has grown. */
  grown(end: number): Rows {
    return new Rows(end, this.#holes, this.#before);
  }

  get count(): number {
    return this.shownUpTo(this.end);
  }

  /** The line in a row; rows that are not there give the nearest. */
  sequenceOf(row: number): number {
    const wanted = Math.max(0, Math.min(row, this.count - 1));
    // Rows before a hole grow with the holes, so the holes that begin at or before the wanted row come first.
    const holes = partition(this.#holes.length, (at) => this.#rowsBefore(at) <= wanted);
    return wanted + 1 + this.#hidden(holes);
  }

  /** The row of a line; of a hidden one the row right before it, where there is one. */
  rowOf(sequence: number): number {
    return Math.max(0, this.shownUpTo(Math.max(1, sequence)) - 1);
  }

  /** How many lines are shown up to one, that one among them if it is. */
  shownUpTo(sequence: number): number {
    const line = Math.min(sequence, this.end);
    return line - this.#hiddenUpTo(line);
  }

  isHidden(sequence: number): boolean {
    const at = partition(this.#holes.length, (index) => (this.#holes[index]?.[0] ?? 0) <= sequence) - 1;
    return at >= 0 && (this.#holes[at]?.[1] ?? 0) >= sequence;
  }

  #rowsBefore(hole: number): number {
    return (this.#holes[hole]?.[0] ?? 0) - 1 - (this.#before[hole] ?? 0);
  }

  /** Hidden by the first so many holes. */
  #hidden(holes: number): number {
    const last = this.#holes[holes - 1];
    return last ? (this.#before[holes - 1] ?? 0) + last[1] - last[0] + 1 : 0;
  }

  #hiddenUpTo(sequence: number): number {
    const holes = partition(this.#holes.length, (at) => (this.#holes[at]?.[0] ?? 0) <= sequence);
    const last = this.#holes[holes - 1];
    if (!last) return 0;
    return (this.#before[holes - 1] ?? 0) + Math.min(sequence, last[1]) - last[0] + 1;
  }
}

/**
 * Where rows are after others have come or gone: what was in one is where it is now, and what was at the end, or behind
 * it, is as far from it. Where no row was there the line `top` is meant.
 */
export function renumbering(before: Rows, now: Rows, top: number): (row: number) => number {
  return (row) => {
    if (row === Number.POSITIVE_INFINITY) return row;
    if (before.count === 0) return now.rowOf(top);
    return row < before.count ? now.rowOf(before.sequenceOf(row)) : row - before.count + now.count;
  };
}

function hiddenBefore(holes: readonly Range[]): Float64Array {
  const before = new Float64Array(holes.length);
  let hidden = 0;
  holes.forEach(([first, last], at) => {
    before[at] = hidden;
    hidden += last - first + 1;
  });
  return before;
}

/** How many of `0..count` satisfy `test`, which holds for none after the first for which it does not. */
export function partition(count: number, test: (at: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (test(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Everything that one of the lists holds, as few sorted ranges as it takes. */
export function union(...lists: readonly (readonly Range[])[]): Range[] {
  const all = lists.flat().sort((one, other) => one[0] - other[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of all) {
    if (last < first) continue;
    const top = merged[merged.length - 1];
    if (top && first <= top[1] + 1) top[1] = Math.max(top[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** What of `1..=end` is in none of the ranges, which are sorted and apart. */
export function complement(ranges: readonly Range[], end: number): Range[] {
  const rest: Range[] = [];
  let next = 1;
  for (const [first, last] of ranges) {
    if (first > end) break;
    if (first > next) rest.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= end) rest.push([next, end]);
  return rest;
}
