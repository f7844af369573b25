/**
 * The lines that are at hand, in aligned chunks, as many as a bound of bytes allows. What is wanted and not here is asked
 * for; a request whose lines are no longer wanted is given up.
 */

import { ApiError } from "../api";
import { waitAfter } from "./backoff";
import { type Entry, entryOf, lastOf, readLines } from "./line";
import type { Range } from "./rows";

/** Lines of a chunk. The server tells the style with which each chunk begins. */
export const CHUNK = 512;
/** What all lines at hand may take. A person sees 100 lines; this is a few hundred thousand ordinary characters. */
export const LIMIT = 16 * 1024 * 1024;
/** Where lines are very long, a request stops here, and asks for the rest when that is to be seen. */
const REQUEST_BYTES = 2 * 1024 * 1024;
/** What a line takes besides its text. */
const LINE_OVERHEAD = 160;

export interface Chunk {
  readonly index: number;
  readonly entries: (Entry | undefined)[];
  bytes: number;
  /** Grows with each change. */
  version: number;
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
  readonly chunk: number;
}

export class Cache {
  readonly #chunks = new Map<number, Chunk>();
  readonly #requests = new Map<number, Request>();
  readonly #load: Load;
  readonly #told: Told;
  readonly #limit: number;
  #wanted: Range = [0, -1];
  #bytes = 0;
  #failures = 0;
  /** Nothing is asked for until it is over; without an end of its own where the server refused. */
  #pause: ReturnType<typeof setTimeout> | "refused" | undefined;

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

  /** Asks for what of these lines is missing, in each chunk from the first named on, and gives up what else is asked for. */
  want(sequences: readonly number[], end: number): void {
    if (sequences.length === 0) return;
    const chunks = sequences.map(chunkOf);
    this.#wanted = [Math.min(...chunks), Math.max(...chunks)];
    const missing = new Map<number, number>();
    for (const sequence of sequences) {
      const chunk = chunkOf(sequence);
      if (missing.has(chunk) || this.get(sequence)) continue;
      missing.set(chunk, sequence);
    }
    for (const [chunk, request] of this.#requests) {
      if (chunk >= this.#wanted[0] && chunk <= this.#wanted[1]) continue;
      request.abort.abort();
      this.#requests.delete(chunk);
    }
    if (this.#pause !== undefined) return;
    for (const [chunk, sequence] of missing) this.#request(chunk, sequence, end);
  }

  close(): void {
    this.#resume();
    for (const request of this.#requests.values()) request.abort.abort();
    this.#requests.clear();
    this.#chunks.clear();
    this.#bytes = 0;
  }

  #request(chunk: number, sequence: number, end: number): void {
    if (this.#requests.has(chunk)) return;
    const existing = this.#chunks.get(chunk);
    const first = chunk * CHUNK + 1;
    const from = existing ? sequence : first;
    const last = Math.min(first + CHUNK - 1, end);
    const request = { abort: new AbortController(), chunk };
    this.#requests.set(chunk, request);
    this.#fetch(request, from, last)
      .then(() => this.#recovered())
      .catch((error: unknown) => {
        if (!request.abort.signal.aborted) this.#failed(error);
      })
      .finally(() => {
        if (this.#requests.get(chunk) !== request) return;
        this.#requests.delete(chunk);
        this.#told.changed();
      });
  }

  /** Who cannot be read is left alone for a while, ever longer; who refuses, until somebody wants it tried again. */
  #failed(error: unknown): void {
    this.#failures += 1;
    this.#resume();
    this.#pause = isRefusal(error) ? "refused" : setTimeout(() => this.retry(), waitFor(error, this.#failures));
    this.#told.failed(error);
  }

  #resume(): void {
    if (this.#pause !== "refused") clearTimeout(this.#pause);
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

  async #fetch(request: Request, from: number, last: number): Promise<void> {
    const body = await this.#load(from, last - from + 1, request.abort.signal);
    let bytes = 0;
    await readLines(body, (value, length) => {
      const entry = entryOf(value);
      if (entry.sequence > last) return false;
      this.put(entry);
      bytes += length;
      return bytes < REQUEST_BYTES;
    });
  }

  #set(sequence: number, entry: Entry): void {
    const index = chunkOf(sequence);
    let chunk = this.#chunks.get(index);
    if (!chunk) {
      chunk = { index, entries: new Array<Entry | undefined>(CHUNK), bytes: 0, version: 0 };
      this.#chunks.set(index, chunk);
    }
    const at = (sequence - 1) % CHUNK;
    const size = sizeOf(entry) - sizeOf(chunk.entries[at]);
    chunk.entries[at] = entry;
    chunk.bytes += size;
    chunk.version += 1;
    this.#bytes += size;
  }

  /** Marks chunks as just used, so that they stay. */
  touch(first: number, last: number): void {
    for (let index = chunkOf(first); index <= chunkOf(last); index += 1) {
      const chunk = this.#chunks.get(index);
      if (!chunk) continue;
      this.#chunks.delete(index);
      this.#chunks.set(index, chunk);
    }
  }

  /** The chunks that were used longest ago go, those that are looked at never. */
  #evict(): void {
    if (this.#bytes <= this.#limit) return;
    for (const [index, chunk] of this.#chunks) {
      if (this.#bytes <= this.#limit * 0.9) return;
      if (index >= this.#wanted[0] && index <= this.#wanted[1]) continue;
      this.#chunks.delete(index);
      this.#bytes -= chunk.bytes;
    }
  }
}

/** Whether log-ingest itself says that the same request has no answer. What a proxy says may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && !error.isTransient && error.code !== "unreachable";
}

function waitFor(error: unknown, failures: number): number {
  const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  return Math.max(asked, waitAfter(failures, Math.random()));
}

function sizeOf(entry: Entry | undefined): number {
  if (!entry) return 0;
  return entry.kind === "gap" ? LINE_OVERHEAD / 4 : entry.message.length * 2 + LINE_OVERHEAD;
}
