/**
 * The lines that are at hand, in aligned chunks, as many as a bound of bytes allows. What is wanted and not here is asked
 * for; a request whose lines are no longer wanted is given up.
 */

import { later } from "../answers";
import { ApiError } from "../api";
import { waitAfter } from "./backoff";
import { type Entry, entryOf, lastOf, readLines } from "./line";
import type { Range } from "./rows";

/** Lines of a chunk. The server tells the style with which each chunk begins. */
export const CHUNK = 512;
/** What all lines at hand may take. A person sees 100 lines; this is a few hundred thousand ordinary characters. */
export const LIMIT = 16 * 1024 * 1024;
/** Requests at a time; browsers make six to a server, over all their tabs. */
const MAX_REQUESTS = 4;
/** Where lines are very long, a request stops here, and asks for the rest when that is to be seen. */
const REQUEST_BYTES = 2 * 1024 * 1024;
/** What a line takes besides its text, and a chunk besides its lines. */
const LINE_OVERHEAD = 160;
/** The code of a failure: the server has lines no more that it had. */
export const LINES_GONE = "lines_gone";
const CHUNK_OVERHEAD = CHUNK * 8;

export interface Chunk {
  readonly index: number;
  readonly entries: (Entry | undefined)[];
  bytes: number;
  /** Grows with each change. */
  version: number;
  /** Its lines are so long that an answer had to be cut. */
  heavy: boolean;
}

export type Load = (from: number, limit: number, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;

export interface Told {
  /** Lines have come. */
  changed(): void;
  /** These lines do not exist. */
  gap(range: Range): void;
  failed(error: unknown): void;
  /** Lines come again. */
  recovered(): void;
}

export function chunkOf(sequence: number): number {
  return Math.floor((sequence - 1) / CHUNK);
}

interface Request {
  readonly abort: AbortController;
  readonly lines: Range;
}

export class Cache {
  readonly #chunks = new Map<number, Chunk>();
  readonly #requests = new Set<Request>();
  readonly #load: Load;
  readonly #told: Told;
  readonly #limit: number;
  #wanted: readonly Range[] = [];
  #bytes = 0;
  #failures = 0;
  /** Nothing is asked for until it is over; without an end of its own where the server refused. */
  #pause: (() => void) | "refused" | undefined;

  constructor(load: Load, told: Told, limit = LIMIT) {
    this.#load = load;
    this.#told = told;
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(sequence: number): Entry | undefined {
    return this.chunk(chunkOf(sequence))?.entries[(sequence - 1) % CHUNK];
  }

  chunk(index: number): Chunk | undefined {
    return this.#chunks.get(index);
  }

  /** Lines that came by themselves. */
  put(entry: Entry): void {
    const last = lastOf(entry);
    // A gap may stand for more lines than there are chunks to keep: what is far from its ends says nothing new.
    const far = entry.sequence + CHUNK;
    for (let sequence = entry.sequence; sequence <= last; sequence += 1) {
      if (sequence > far && sequence < last - CHUNK) sequence = last - CHUNK;
      this.#set(sequence, entry);
    }
    if (entry.kind === "gap" && last > entry.sequence) this.#told.gap([entry.sequence + 1, last]);
    this.#evict();
  }

  /**
   * Asks for what of these ranges is missing, the first ones first and a few at a time: what is left is asked for when
   * the next answer has come and more is wanted still. `whole` asks for all that is missing around it in its chunk, too.
   * What else is asked for is given up.
   */
  want(ranges: readonly Range[], end: number, whole: boolean): void {
    this.#wanted = ranges;
    for (const request of this.#requests) {
      if (ranges.some((range) => meet(near(range, whole), request.lines))) continue;
      request.abort.abort();
      this.#requests.delete(request);
    }
    for (const [first, last] of ranges) {
      for (let index = chunkOf(first); index <= chunkOf(last); index += 1) this.#touch(index);
      if (this.#pause === undefined) this.#ask(first, Math.min(last, end), end, whole);
    }
  }

  /** Lines that are on their way already: while they are, nobody asks for them. What does not come is asked for then. */
  bring(lines: Range, body: Promise<ReadableStream<Uint8Array>>, abort = new AbortController()): void {
    const request = { abort, lines };
    this.#requests.add(request);
    this.#read(request, body)
      .catch(() => {})
      .finally(() => this.#ended(request));
  }

  close(): void {
    this.#resume();
    for (const request of this.#requests) request.abort.abort();
    this.#requests.clear();
    this.#chunks.clear();
    this.#bytes = 0;
  }

  #ask(first: number, last: number, end: number, whole: boolean): void {
    for (let line = first; line <= last && this.#requests.size < MAX_REQUESTS; line += 1) {
      if (!this.#isMissing(line)) continue;
      const [from, to] = this.#missing(line, whole ? end : last, whole);
      this.#request([from, to]);
      line = to;
    }
  }

  /** Not here, nor on its way. */
  #isMissing(sequence: number): boolean {
    if (this.get(sequence)) return false;
    for (const { lines } of this.#requests) if (sequence >= lines[0] && sequence <= lines[1]) return false;
    return true;
  }

  /** What is missing in a chunk from a line on, and before it where that is not too much. */
  #missing(sequence: number, end: number, whole: boolean): Range {
    const index = chunkOf(sequence);
    const [start, stop] = [index * CHUNK + 1, Math.min((index + 1) * CHUNK, end)];
    const chunk = this.#chunks.get(index);
    let [from, to] = [sequence, sequence];
    if (whole && !chunk?.heavy) while (from > start && this.#isMissing(from - 1)) from -= 1;
    while (to < stop && this.#isMissing(to + 1)) to += 1;
    return [from, to];
  }

  #request(lines: Range): void {
    const request = { abort: new AbortController(), lines };
    this.#requests.add(request);
    this.#fetch(request)
      .then((brought) => {
        // Asked at once, it would say so again: these lines were there, and are no more.
        if (brought === 0) throw new ApiError(0, LINES_GONE, `the server has no line ${lines[0]}`);
        this.#recovered();
      })
      .catch((error: unknown) => {
        if (!request.abort.signal.aborted) this.#failed(error);
      })
      .finally(() => this.#ended(request));
  }

  #ended(request: Request): void {
    if (this.#requests.delete(request)) this.#told.changed();
  }

  /** Who cannot be read is left alone for a while, ever longer; who refuses, until somebody wants it tried again. */
  #failed(error: unknown): void {
    this.#failures += 1;
    this.#resume();
    this.#pause = isRefusal(error) ? "refused" : this.#later(error);
    this.#told.failed(error);
  }

  /** Tries again after a while, or as soon as others hear the server, unless it asked to be left alone. */
  #later(error: unknown): () => void {
    const again = () => this.retry();
    return later(waitFor(error, this.#failures), again, askedFor(error) > 0 ? null : again);
  }

  #resume(): void {
    if (typeof this.#pause === "function") this.#pause();
    this.#pause = undefined;
  }

  #recovered(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#told.recovered();
  }

  /** Asks again now for what could not be read. */
  retry(): void {
    this.#resume();
    this.#told.changed();
  }

  #fetch(request: Request): Promise<number> {
    const [from, last] = request.lines;
    return this.#read(request, this.#load(from, last - from + 1, request.abort.signal));
  }

  /** How many it brought. */
  async #read({ lines: [from, last], abort }: Request, body: Promise<ReadableStream<Uint8Array>>): Promise<number> {
    let bytes = 0;
    let brought = 0;
    await readLines(await body, (value, length) => {
      const entry = entryOf(value);
      if (entry.sequence > last || abort.signal.aborted) return false;
      this.put(entry);
      bytes += length;
      brought += 1;
      if (bytes < REQUEST_BYTES) return true;
      const chunk = this.#chunks.get(chunkOf(from));
      if (chunk) chunk.heavy = true;
      return false;
    });
    return brought;
  }

  #set(sequence: number, entry: Entry): void {
    const index = chunkOf(sequence);
    let chunk = this.#chunks.get(index);
    if (!chunk) {
      const entries = new Array<Entry | undefined>(CHUNK);
      chunk = { index, entries, bytes: CHUNK_OVERHEAD, version: 0, heavy: false };
      this.#chunks.set(index, chunk);
      this.#bytes += CHUNK_OVERHEAD;
    }
    const at = (sequence - 1) % CHUNK;
    // A line never changes, and rows know by the entry whether they show it.
    if (chunk.entries[at]?.kind === "line" && entry.kind === "line") return;
    const size = sizeOf(entry) - sizeOf(chunk.entries[at]);
    chunk.entries[at] = entry;
    chunk.bytes += size;
    chunk.version += 1;
    this.#bytes += size;
  }

  /** A chunk that was just used stays longest. */
  #touch(index: number): void {
    const chunk = this.#chunks.get(index);
    if (!chunk) return;
    this.#chunks.delete(index);
    this.#chunks.set(index, chunk);
  }

  /** The chunks that were used longest ago go, those that are looked at never. */
  #evict(): void {
    if (this.#bytes <= this.#limit) return;
    for (const [index, chunk] of this.#chunks) {
      if (this.#bytes <= this.#limit * 0.9) return;
      if (this.#wanted.some(([first, last]) => index >= chunkOf(first) && index <= chunkOf(last))) continue;
      this.#chunks.delete(index);
      this.#bytes -= chunk.bytes;
    }
  }
}

/** All lines of the chunks that a range is in, where these are wanted with it. */
function near([first, last]: Range, whole: boolean): Range {
  return whole ? [chunkOf(first) * CHUNK + 1, (chunkOf(last) + 1) * CHUNK] : [first, last];
}

function meet(one: Range, other: Range): boolean {
  return one[0] <= other[1] && other[0] <= one[1];
}

/** Whether the same request has no answer. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && !error.isTransient;
}

/** How long the server asked to be left alone. */
function askedFor(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
}

function waitFor(error: unknown, failures: number): number {
  return Math.max(askedFor(error), waitAfter(failures, Math.random()));
}

function sizeOf(entry: Entry | undefined): number {
  if (!entry) return 0;
  return entry.kind === "gap" ? LINE_OVERHEAD / 4 : entry.message.length * 2 + LINE_OVERHEAD;
}
