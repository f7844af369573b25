/** The style with which each line begins: a colour that a line leaves on goes on in the next. */

import { advance, PLAIN, type Style, select } from "./ansi";
import { CHUNK, type Chunk, chunkOf } from "./cache";

/** Chunks whose styles are kept; each is looked through again in well under a millisecond. */
const KEPT = 16;

interface Known {
  readonly version: number;
  readonly start: Style;
  readonly styles: Style[];
  end: Style;
}

export class Styles {
  /** From the server: how chunks begin that do not begin plainly. */
  #starts = new Map<number, Style>();
  /** Up to this line the server has told. */
  #told = 0;
  readonly #known = new Map<number, Known>();

  tell(styles: readonly (readonly [number, string])[], through: number): void {
    this.#starts = new Map(styles.map(([sequence, codes]) => [chunkOf(sequence), select(PLAIN, codes)]));
    this.#told = through;
    this.#known.clear();
  }

  of(sequence: number, chunk: Chunk | undefined): Style {
    if (!chunk) return PLAIN;
    return this.#chunk(chunk).styles[(sequence - 1) % CHUNK] ?? PLAIN;
  }

  #chunk(chunk: Chunk): Known {
    const start = this.#start(chunk.index);
    const known = this.#known.get(chunk.index);
    if (known && known.version === chunk.version && known.start === start) return known;
    const made = through(chunk, start);
    this.#known.delete(chunk.index);
    this.#known.set(chunk.index, made);
    for (const index of this.#known.keys()) {
      if (this.#known.size <= KEPT) break;
      this.#known.delete(index);
    }
    return made;
  }

  /** What the server said; beyond that, what the chunk before it left, if that is at hand. */
  #start(index: number): Style {
    const told = this.#starts.get(index);
    if (told) return told;
    if (index * CHUNK < this.#told) return PLAIN;
    return this.#known.get(index - 1)?.end ?? PLAIN;
  }
}

function through(chunk: Chunk, start: Style): Known {
  let style = start;
  const styles = Array.from({ length: CHUNK }, (_, at) => {
    const before = style;
    const entry = chunk.entries[at];
    // What the agent says between the command's lines has no part in the command's colours.
    if (entry?.kind === "line" && entry.source !== "system") style = advance(entry.message, style);
    return before;
  });
  return { version: chunk.version, start, styles, end: style };
}
