/**
 * Which lines are asked for: what is seen, and with it what will be seen next. What is passed faster than lines come is
 * not asked for at all, only where it comes to rest.
 */

import { CHUNK } from "./cache";
import type { Log } from "./model";
import type { Range, Rows } from "./rows";

/** From one place to the next that lines are asked for while the window goes on: more than a chunk's way is too fast. */
const ASK_MS = 100;
/** A window that has not gone elsewhere for so long, a few frames, rests; after as long again all around it is asked for. */
const REST_MS = 50;
/** Lines that are nearer to each other than this are asked for together, with what is hidden between them. */
const NEAR = 64;

export class Asker {
  readonly #log: Log;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #visible: readonly number[] = [];
  #page = 0;
  /** When the window last went where nothing was of what it had. */
  #gone = Number.NEGATIVE_INFINITY;
  /** It went on from there at once. */
  #passing = false;
  /** Where it was, and when, since which its speed is told. */
  #since = { line: 0, at: Number.NEGATIVE_INFINITY };

  constructor(log: Log) {
    this.#log = log;
  }

  /** These lines are seen. */
  seen(visible: readonly number[], page: number): void {
    const moved = distance(this.#visible, visible);
    const same = isSame(this.#visible, visible);
    this.#visible = visible;
    this.#page = page;
    const now = performance.now();
    if (moved === 0) {
      if (this.#timer === undefined) this.#ask();
      // Drawn once more on its way, it is not for that a place where it stays.
      else if (!same || !this.#passing) this.#askSeen();
      return;
    }
    this.#passing = now - this.#gone < ASK_MS;
    this.#gone = now;
    // The first of many places may be the only one. Of the others those are worth it where lines come before they are passed.
    if (!this.#passing) {
      this.#since = { line: visible[0] ?? 0, at: now };
      this.#askSeen();
    } else if (now - this.#since.at >= ASK_MS) {
      const passed = Math.abs((visible[0] ?? 0) - this.#since.line);
      this.#since = { line: visible[0] ?? 0, at: now };
      if (passed < CHUNK) this.#ask();
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rest(), REST_MS);
  }

  /** Lines around one are asked for before it is known which of them can be seen: that is a frame earlier. */
  around(line: number, page: number): void {
    const { rows } = this.#log;
    const row = rows.rowOf(line);
    const first = Math.max(0, Math.min(row, rows.count - page) - page);
    const lines = Array.from({ length: Math.min(rows.count, 2 * page + 1) }, (_, at) => rows.sequenceOf(first + at));
    this.#want(lines, false);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #rest(): void {
    this.#passing = false;
    this.#askSeen();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#ask();
    }, REST_MS);
  }

  #askSeen(): void {
    this.#want(this.#visible, false);
  }

  /** With what is around them, where they are near each other; where they are far apart for nothing else. */
  #ask(): void {
    const { rows } = this.#log;
    const ahead = around(rows, this.#visible, this.#page);
    this.#want(ahead ?? this.#visible, ahead !== null);
  }

  #want(lines: readonly number[], whole: boolean): void {
    const { cache, groups, end } = this.#log;
    // A heading is drawn from what is known of its group.
    const needed = whole ? lines : lines.filter((line) => !groups.startingAt(line));
    cache.want(runs(needed), end, whole);
  }
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one[0] === other[0] && one[one.length - 1] === other[other.length - 1];
}

/** Lines from one window to another that has none of its lines; 0 where it has any. */
function distance(from: readonly number[], to: readonly number[]): number {
  const [first = 0, last = 0] = [to[0], to[to.length - 1]];
  const [firstBefore = 0, lastBefore = 0] = [from[0], from[from.length - 1]];
  if (first > lastBefore) return first - lastBefore;
  return last < firstBefore ? firstBefore - last : 0;
}

/** The lines that are seen and those a page around them; nothing where they lie far apart. */
function around(rows: Rows, visible: readonly number[], page: number): number[] | null {
  const [first = 1, last = 1] = [visible[0], visible[visible.length - 1]];
  if (last - first >= CHUNK) return null;
  const row = rows.rowOf(first);
  const ahead = [row - page, row + 2 * page].map((other) => rows.sequenceOf(other));
  return [...ahead.filter((line) => line >= first - CHUNK && line <= last + CHUNK), ...visible];
}

/** Lines as few ranges, sorted and apart. */
export function runs(lines: readonly number[]): Range[] {
  const found: [number, number][] = [];
  for (const line of [...lines].sort((one, other) => one - other)) {
    const top = found[found.length - 1];
    if (top && line - top[1] <= NEAR) top[1] = line;
    else found.push([line, line]);
  }
  return found;
}
