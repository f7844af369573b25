/**
 * Lines that came and are not read yet, as JSON. Between two frames more may come than anybody can see: for whoever
 * follows the end only that is read, and the rest let go, for it can be loaded again from where it ended. Bounded.
 */

import type { TaskLine } from "../api";

/** As many lines are read for a frame, or the few more that came with them. */
const FRAME_LINES = 200;
/** What waits at most. */
export const MOST_CHARACTERS = 4 * 1024 * 1024;

/** Lines that came together. */
export interface Batch {
  readonly lines: readonly TaskLine[];
  /** Where what comes before them ends. */
  readonly before: string | null;
}

export interface Taken {
  readonly batches: readonly Batch[];
  /** Nothing before them was let go. */
  readonly isWhole: boolean;
}

export class Waiting {
  #batches: { readonly text: string; readonly before: string | null }[] = [];
  #characters = 0;
  #isWhole = true;

  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  get isFull(): boolean {
    return this.#characters >= MOST_CHARACTERS;
  }

  /** The first go where there are too many. */
  push(text: string, before: string | null): void {
    this.#batches.push({ text, before });
    this.#characters += text.length;
    while (this.isFull && this.#batches.length > 1) {
      this.#characters -= this.#batches.shift()?.text.length ?? 0;
      this.#isWhole = false;
    }
  }

  clear(): void {
    this.#batches = [];
    this.#characters = 0;
    this.#isWhole = true;
  }

  /** The last of what waits. Nothing waits then. */
  latest(): Taken {
    const batches: Batch[] = [];
    let lines = 0;
    while (lines < FRAME_LINES && !this.isEmpty) lines += this.#read(this.#batches.pop(), batches);
    const isWhole = this.#isWhole && this.isEmpty;
    this.clear();
    return { batches: batches.reverse(), isWhole };
  }

  /** The first of what waits. */
  next(): Taken {
    const batches: Batch[] = [];
    const isWhole = this.#isWhole;
    let lines = 0;
    while (lines < FRAME_LINES && !this.isEmpty) lines += this.#read(this.#batches.shift(), batches);
    return { batches, isWhole };
  }

  #read(batch: { text: string; before: string | null } | undefined, into: Batch[]): number {
    if (!batch) return 0;
    this.#characters -= batch.text.length;
    const lines = JSON.parse(batch.text) as TaskLine[];
    into.push({ lines, before: batch.before });
    return lines.length;
  }
}
