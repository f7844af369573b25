/** Lines that came by themselves and were not drawn yet: whole batches, as few as hold the last `MAX_WAITING`. */

/** Of the lines that came between two drawings so many are read; those before them when somebody goes there. */
export const MAX_WAITING = 512;

interface Batch {
  readonly last: number;
  readonly text: string;
}

export class Waiting {
  #batches: Batch[] = [];

  /** JSON with lines up to one. */
  add(last: number, text: string): void {
    this.#batches.push({ last, text });
    const needless = this.#batches.findIndex((batch) => batch.last > last - MAX_WAITING);
    if (needless > 0) this.#batches.splice(0, needless);
  }

  /** All that is there, and nothing any more. */
  take(): string[] {
    const texts = this.#batches.map(({ text }) => text);
    if (texts.length > 0) this.#batches = [];
    return texts;
  }
}
