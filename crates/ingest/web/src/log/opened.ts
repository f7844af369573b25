/** What a person asked to see of single lines: more of a long one, the earlier states of one that was overwritten. */

import { entryOf, type Line, readLines } from "./line";
import { lineStream } from "./lines";
import { MORE_CHARACTERS, SHOWN_CHARACTERS } from "./row";

/** Whole long lines that are kept, the latest. */
const WHOLE_LINES = 4;

export class Opened {
  readonly #worker: string;
  readonly #characters = new Map<number, number>();
  readonly #histories = new Set<number>();
  readonly #whole = new Map<number, string>();

  constructor(worker: string) {
    this.#worker = worker;
  }

  characters(sequence: number): number {
    return this.#characters.get(sequence) ?? SHOWN_CHARACTERS;
  }

  history(sequence: number): boolean {
    return this.#histories.has(sequence);
  }

  /** The whole of a line of which more was wanted than is kept of each. */
  whole(sequence: number): string | null {
    return this.#whole.get(sequence) ?? null;
  }

  toggleHistory(sequence: number): void {
    if (!this.#histories.delete(sequence)) this.#histories.add(sequence);
  }

  /** Shows more of a line, which may have to be asked for. */
  async more(line: Line): Promise<void> {
    const { sequence } = line;
    if (line.length > line.message.length && !this.#whole.has(sequence)) {
      const body = await lineStream(this.#worker, sequence, 1, AbortSignal.timeout(30_000));
      await readLines(body, (value) => {
        const whole = entryOf(value, Number.POSITIVE_INFINITY);
        if (whole.kind === "line") this.#keep(sequence, whole.message);
        return true;
      });
    }
    this.#characters.set(sequence, this.characters(sequence) + MORE_CHARACTERS);
  }

  #keep(sequence: number, text: string): void {
    this.#whole.set(sequence, text);
    for (const other of this.#whole.keys()) {
      if (this.#whole.size <= WHOLE_LINES) return;
      this.#whole.delete(other);
    }
  }
}
