/**
 * Of which streams lines are shown, and what that hides. The server tells which lines these are, page by page: until it has
 * told of those that a person looks at, all stays as it was before the choice. What cannot be told any more, because there
 * are too many runs of lines or because of an error, is shown whatever it is of.
 */

import { SOURCES, type Source } from "./line";
import { complement, type Range, union } from "./rows";
import type { Search } from "./search";

/** While a log is written, it is asked so often which of the new lines are shown. */
const EVERY_MS = 150;

const ALL: ReadonlySet<Source> = new Set(SOURCES);

/** With a stream more, or less; nothing at all is never what is meant. */
export function toggled(shown: ReadonlySet<Source>, source: Source): ReadonlySet<Source> {
  const sources = new Set(shown);
  if (!sources.delete(source)) sources.add(source);
  return sources.size === 0 ? ALL : sources;
}

/** A search for the lines of streams, which calls back when it has found out more. */
export type Make = (sources: readonly Source[], told: () => void) => Search;

export class Filter {
  readonly #make: Make;
  readonly #changed: () => void;
  /** What a person chose. */
  shown: ReadonlySet<Source> = ALL;
  #search: Search | null = null;
  /** Takes the place of the other when it has come as far as this line. */
  #next: Search | null = null;
  #needed = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(make: Make, changed: () => void) {
    this.#make = make;
    this.#changed = changed;
  }

  /** For questions to the server; empty where all streams are shown. */
  get sources(): readonly Source[] {
    return this.shown.size < SOURCES.length ? [...this.shown] : [];
  }

  /** What was chosen is not to be seen yet, or may not be. */
  get busy(): boolean {
    return this.#next !== null;
  }

  /** Why lines of all streams are shown from `through` on. */
  get stopped(): "full" | "failed" | null {
    if (!this.#search) return null;
    return this.#search.error === null ? (this.#search.full ? "full" : null) : "failed";
  }

  /** What it failed with. */
  get error(): unknown {
    return this.#search?.error ?? null;
  }

  /** The last line of which it is known whether it is shown. */
  get through(): number {
    return this.#search?.through ?? Number.POSITIVE_INFINITY;
  }

  /** Shows lines of these streams, of a log that ends at a line, once they are known up to the one that is needed. */
  choose(sources: ReadonlySet<Source>, needed: number, end: number): void {
    this.shown = sources;
    this.#next?.close();
    this.#next = null;
    if (this.sources.length === 0) {
      this.#search?.close();
      this.#search = null;
      this.#changed();
      return;
    }
    this.#needed = needed;
    this.#next = this.#make(this.sources, () => this.#told());
    void this.#next.upTo(end);
    this.#changed();
  }

  /** The log has grown. */
  upTo(end: number): void {
    void this.#search?.upTo(end);
    void this.#next?.upTo(end);
  }

  /** The same, where it grows by the moment. */
  soon(end: () => number): void {
    if (!this.#search && !this.#next) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.upTo(end());
    }, EVERY_MS);
  }

  /** Whether a line is of a stream that is shown; nothing where that is not known yet. */
  passes(line: number): boolean | null {
    if (this.#next) return null;
    if (!this.#search) return true;
    if (line <= this.#search.through) return this.#search.hits.has(line);
    return this.stopped === null ? null : true;
  }

  /** Whether it hides a line, as it is now, whatever is known of another choice. */
  hides(line: number): boolean {
    const search = this.#search;
    return search !== null && line <= search.through && !search.hits.has(line);
  }

  /** What is hidden. Where lines are missing is shown whatever else is. */
  holes(gaps: readonly Range[]): Range[] {
    const search = this.#search;
    if (!search) return [];
    const holes = complement(union(search.hits.ranges, gaps), search.through);
    return this.stopped === null ? [...holes, [search.through + 1, Number.POSITIVE_INFINITY]] : holes;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#search?.close();
    this.#next?.close();
  }

  #told(): void {
    const next = this.#next;
    if (next && (next.through >= this.#needed || !next.busy)) {
      this.#search?.close();
      this.#search = next;
      this.#next = null;
    }
    this.#changed();
  }
}
