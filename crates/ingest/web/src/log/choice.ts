/** What a person has chosen of a log: the line that keys start from, and a line or a range that the address names. */

import { Cell } from "../store";
import { extended } from "./copy";
import type { Range } from "./rows";

export class Choice {
  #range: Range | null = null;
  #end: number | null = null;
  /** The line that keys start from. */
  cursor: number | null;
  /** The next line that is chosen is the other end of a range. */
  readonly extending = new Cell(false);

  constructor(range: Range | null) {
    this.name(range);
    this.cursor = range?.[0] ?? null;
  }

  get range(): Range | null {
    return this.#range;
  }

  /** As the address says, which knows no end that moves: it goes on from its last line. */
  name(range: Range | null): void {
    this.#range = range;
    this.#end = range?.[1] ?? null;
  }

  /** Chooses a line, or from the one chosen before up to this one, or from where the person is where none is chosen. */
  take(sequence: number, extend: boolean, here: number | null = null): Range {
    const range =
      extend || this.extending.value ? extended(this.#anchor ?? here ?? sequence, sequence) : single(sequence);
    this.#range = range;
    this.#end = sequence;
    this.cursor = sequence;
    this.extending.set(false);
    return range;
  }

  /** The end of the range that moves when it is extended. */
  get end(): number | null {
    return this.#end;
  }

  /** Whether a line is one of those that are named. */
  has(sequence: number): boolean {
    return this.range !== null && sequence >= this.range[0] && sequence <= this.range[1];
  }

  /** Lines that are asked for by it. */
  get asked(): number[] {
    return [this.range?.[0], this.cursor].filter((line) => typeof line === "number");
  }

  /** The one that stays. */
  get #anchor(): number | null {
    if (!this.range) return null;
    return this.#end === this.range[0] ? this.range[1] : this.range[0];
  }
}

function single(sequence: number): Range {
  return [sequence, sequence];
}
