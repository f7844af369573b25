/** The style with which each line begins: a colour that a line leaves on goes on in the next. */

import { advance, PLAIN, type Style, same, select } from "./ansi";
import { CHUNK, type Chunk, chunkOf } from "./cache";
import type { Entry } from "./line";

/** Chunks whose styles are kept; each is looked through again in well under a millisecond. */
const KEPT = 16;

/** What was found out about a chunk. A style that is found again is the same object: rows that have it need no drawing. */
interface Known {
  version: number;
  start: Style;
  readonly styles: Style[];
  end: Style;
}

export class Styles {
  /** From the server: how chunks begin that do not begin plainly. */
  #starts = new Map<number, Style>();
  /** Up to this line the server has told. */
  #told = 0;
  readonly #known = new Map<number, Known>();
  /** The entries that were looked at, for as long as the chunk is at hand. */
  readonly #read = new WeakMap<Chunk, readonly (Entry | undefined)[]>();

  tell(styles: readonly (readonly [number, string])[], through: number): void {
    const before = this.#starts;
    this.#starts = new Map(
      styles.map(([sequence, codes]) => {
        const index = chunkOf(sequence);
        return [index, known(before.get(index), select(PLAIN, codes))];
      }),
    );
    this.#told = through;
  }

  of(sequence: number, chunk: Chunk | undefined): Style {
    if (!chunk) return PLAIN;
    return this.#chunk(chunk).styles[(sequence - 1) % CHUNK] ?? PLAIN;
  }

  #chunk(chunk: Chunk): Known {
    const start = this.#start(chunk.index);
    const found = this.#known.get(chunk.index);
    if (found && found.version === chunk.version && found.start === start) return found;
    const made = found ?? { version: -1, start, styles: [], end: start };
    look(chunk, start, made, this.#read.get(chunk));
    this.#read.set(chunk, [...chunk.entries]);
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

/** Looks through what of a chunk has changed since it was read, and what follows from that. */
function look(chunk: Chunk, start: Style, into: Known, read: readonly (Entry | undefined)[] | undefined): void {
  into.version = chunk.version;
  into.start = start;
  let style = start;
  for (let at = 0; at < CHUNK; at += 1) {
    const entry = chunk.entries[at];
    const [before, after] = [into.styles[at], into.styles[at + 1] ?? into.end];
    style = known(before, style);
    into.styles[at] = style;
    const isAsBefore = before === style && read !== undefined && read[at] === entry;
    style = isAsBefore ? after : known(after, advanced(entry, style));
  }
  into.end = style;
}

/** What the agent says between the command's lines has no part in the command's colours. */
function advanced(entry: Entry | undefined, style: Style): Style {
  return entry?.kind === "line" && entry.source !== "system" ? advance(entry.message, style) : style;
}

function known(before: Style | undefined, style: Style): Style {
  return before && same(before, style) ? before : style;
}
