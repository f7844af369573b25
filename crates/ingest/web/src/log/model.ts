/**
 * One worker's log as the page knows it: the worker, the lines at hand, what the server says about the whole, and which
 * line is in which row. It knows nothing of the screen. Every change ends in one call of `changed`; where it is nothing but
 * lines that were asked for, of `read`.
 */

import * as api from "../api";
import { takenLines } from "../early";
import { reasonOf } from "../troubles";
import type { Style } from "./ansi";
import { Cache, chunkOf, LINES_GONE } from "./cache";
import { Filter } from "./filter";
import { Groups } from "./groups";
import { type Entry, entryOf, type Source } from "./line";
import { bodyOf, lineStream } from "./lines";
import { type Connection, type Heard, Live, type Server } from "./live";
import { type Range, Rows, union } from "./rows";
import { type Ask, Search } from "./search";
import { Styles } from "./styles";
import { Waiting } from "./waiting";

/** From one look at the whole log to the next, while it grows: at least this, and at least so many times what the last took. */
const OUTLINE_EVERY_MS = 2_000;
const OUTLINE_SHARE = 10;

/** Whom a log tells. */
export interface Told {
  changed(): void;
  /** Lines that were asked for are here: no more than rows has changed. */
  read(): void;
  /** The server has another log under this name: nothing that is known holds for it. */
  renewed(state: api.WorkerState): void;
}

export class Log {
  readonly name: string;
  readonly cache: Cache;
  readonly styles = new Styles();
  worker: api.WorkerState | null = null;
  connection: Connection = "connecting";
  /** Why there is no connection, or no lines. */
  trouble: string | null = null;
  outline: api.Outline | null = null;
  rows = new Rows(0);
  groups = new Groups();
  readonly filter: Filter;
  search: Search | null = null;
  readonly #told: Told;
  #query: api.SearchQuery | null = null;
  /** Lines that stay in sight when groups come to be known. */
  readonly #kept: () => readonly number[];
  readonly #left = new AbortController();
  readonly #live: Live;
  /** Gaps that were seen before the outline told of them. */
  #gaps: Range[] = [];
  readonly #waiting = new Waiting();
  #outlineTimer: ReturnType<typeof setTimeout> | undefined;
  #outlineTag: string | undefined;
  #marks = new Map<number, string>();

  constructor(name: string, tail: Server["tail"], told: Told, kept: () => readonly number[]) {
    this.name = name;
    this.#told = told;
    this.#kept = kept;
    this.cache = new Cache((from, limit, signal) => lineStream(name, from, limit, signal), {
      changed: () => this.#told.read(),
      gap: (range) => this.#gap(range),
      failed: (error) => this.#failed(error),
      recovered: () => this.#failed(null),
    });
    this.filter = new Filter(
      (source, told) => this.#searchFor({ q: "", source }, told),
      () => this.#arrange(),
    );
    this.#live = new Live(
      { worker: (signal) => this.#askWorker(signal), tail },
      {
        connection: (connection, error) => this.#connected(connection, error),
        worker: (state) => this.#know(state),
        lines: (last, lines) => this.#came(last, lines),
      },
      !document.hidden,
    );
  }

  get end(): number {
    return this.rows.end;
  }

  get running(): boolean {
    return this.worker?.state === "open";
  }

  get failed(): boolean {
    const worker = this.worker;
    return worker?.state === "closed" && (worker.exit_code !== 0 || (worker.signal ?? 0) !== 0);
  }

  /** What others were told of the worker, maybe earlier than this log. */
  hear(state: api.WorkerState): void {
    if (this.worker && Date.parse(state.created_at) > Date.parse(this.worker.created_at)) this.#told.renewed(state);
  }

  /** With what is known of the worker already, its lines need not wait for it. */
  open(known: api.WorkerState | null): void {
    if (known) this.#know(known);
    this.#live.connect();
    this.#lookAgain();
  }

  /** Where it opens is settled: lines there may have been asked for before there was a page. */
  opened(): void {
    const early = takenLines(api.url(api.ofWorker(this.name)), this.end);
    if (early) this.cache.bring(early.lines, bodyOf(early.response), early.abort);
  }

  close(): void {
    this.#left.abort();
    this.#live.close();
    this.cache.close();
    this.search?.close();
    this.filter.close();
    clearTimeout(this.#outlineTimer);
  }

  /** Tries again at once what waits to be tried again. */
  retry(): void {
    this.trouble = null;
    this.#live.connect();
    this.cache.retry();
    if (!this.outline) void this.#lookThrough();
    if (this.filter.stopped === "failed") this.setSources(this.filter.shown, 0);
    this.#changed();
  }

  shown(shown: boolean): void {
    this.#live.shown(shown);
    if (shown && !this.outline?.complete) void this.#lookThrough();
  }

  get(sequence: number): Entry | undefined {
    return this.cache.get(sequence);
  }

  /** The style with which a line begins. */
  styleOf(sequence: number): Style {
    return this.styles.of(sequence, this.cache.chunk(chunkOf(sequence)));
  }

  /** What the server says of a line: `error`, `warning`, `notice`. */
  markOf(sequence: number): string | null {
    return this.#marks.get(sequence) ?? (sequence === this.firstFailure ? "error" : null);
  }

  /** Where a worker that failed says so for the first time. */
  get firstFailure(): number | null {
    return this.failed ? (this.outline?.first_failure ?? null) : null;
  }

  /** All lines that say that something failed. */
  get failures(): number[] {
    const marked = [...this.#marks].filter(([, kind]) => kind === "error").map(([sequence]) => sequence);
    const first = this.firstFailure === null ? [] : [this.firstFailure];
    return [...marked, ...first].sort((one, other) => one - other);
  }

  /** Reads what came since the last drawing, if it is looked at; else it can be asked for later. */
  takeIn(looked: boolean): void {
    const batches = this.#waiting.take();
    for (const lines of looked ? batches : []) {
      const value: unknown = typeof lines === "string" ? JSON.parse(lines) : lines;
      for (const line of Array.isArray(value) ? value : [value]) this.cache.put(entryOf(line));
    }
  }

  /** Shows lines of these streams alone, once it is known which they are up to the line that is needed. */
  setSources(sources: ReadonlySet<Source>, needed: number): void {
    this.filter.choose(sources, needed, this.end);
    if (this.#query) this.find(this.#query);
  }

  /** Whether the filter shows a line; nothing where that is not known yet. */
  isShown(line: number): boolean | null {
    const gap = this.outline?.gaps.some(([first, last]) => line >= first && line <= last) ?? false;
    const passes = this.filter.passes(line);
    return passes === false && gap ? true : passes;
  }

  /** The stream of a line, which may have to be asked for. */
  async sourceOf(line: number): Promise<Source | null> {
    const here = this.get(line);
    if (here) return here.kind === "line" ? here.source : null;
    const answer = await api.lines(this.name, line, 1, { signal: this.#left.signal });
    const text = await answer.text();
    const entry = text === "" ? null : entryOf(JSON.parse(text));
    return entry?.kind === "line" && entry.sequence === line ? entry.source : null;
  }

  /** Looks for matches in the lines of streams that are shown. */
  find(query: api.SearchQuery | null): void {
    this.#query = query;
    this.search?.close();
    const asked = query && { ...query, source: this.filter.sources };
    this.search = asked && this.#searchFor(asked, () => this.#arrange());
    void this.search?.upTo(this.end);
    this.#changed();
  }

  /** After groups were folded or unfolded. */
  refold(): void {
    this.#arrange();
  }

  #changed(): void {
    this.#told.changed();
  }

  #searchFor(query: api.SearchQuery, told: () => void): Search {
    const ask: Ask = (asked, signal) => api.search(this.name, asked, { signal });
    return new Search(query, ask, told);
  }

  async #askWorker(signal: AbortSignal): Promise<api.WorkerState> {
    const answer = await api.worker(this.name, { signal });
    if (answer === "unchanged") throw new Error("no answer was asked to be left out");
    return answer.value;
  }

  #connected(connection: Connection, error: Error | null): void {
    this.connection = connection;
    this.trouble = error && reasonOf(error);
    this.#changed();
  }

  #know(state: api.WorkerState): void {
    if (this.worker && state.created_at !== this.worker.created_at) {
      this.#told.renewed(state);
      return;
    }
    const closed = this.worker?.state === "open" && state.state === "closed";
    this.worker = state;
    this.#grow(state.last_sequence);
    if (closed) void this.#lookThrough();
    this.#changed();
  }

  #came(last: number, lines: Heard["data"]): void {
    this.#waiting.add(last, lines);
    this.#grow(last);
    this.filter.soon(() => this.end);
    this.#changed();
  }

  #grow(last: number): void {
    if (last > this.rows.end) this.rows = this.rows.grown(last);
  }

  #gap(range: Range): void {
    const known = this.#gaps;
    this.#gaps = union(known, [range]);
    if (this.#gaps.length !== known.length || !known.some(([first, last]) => first <= range[0] && last >= range[1])) {
      this.#arrange();
    }
  }

  /** Why lines cannot be read; nothing where they can be again. */
  #failed(error: unknown): void {
    this.trouble = error === null ? null : reasonOf(error);
    if (error instanceof api.ApiError && error.code === LINES_GONE) void this.#lookAtWorker();
    this.#changed();
  }

  /** Nobody tells of a closed log that it was forgotten, or that there is another. */
  async #lookAtWorker(): Promise<void> {
    const { signal } = this.#left;
    const state = await this.#askWorker(signal).catch(() => null);
    if (state && !signal.aborted) this.#know(state);
  }

  readonly #passes = (line: number): boolean => !this.filter.hides(line);

  /** Which rows there are, from all that hides lines. */
  #arrange(): void {
    this.rows = new Rows(
      this.rows.end,
      union(this.#gaps, this.groups.hidden(this.#passes), this.filter.holes(this.#missing)),
    );
    this.#changed();
  }

  /** Where lines are missing, each place by its first. */
  get #missing(): Range[] {
    return (this.outline?.gaps ?? []).map(([first]) => [first, first]);
  }

  /** Asks about the whole log, and again while it grows. */
  async #lookThrough(): Promise<void> {
    clearTimeout(this.#outlineTimer);
    const began = performance.now();
    try {
      const answer = await api.outline(this.name, { signal: this.#left.signal, etag: this.#outlineTag });
      if (this.#left.signal.aborted) return;
      if (answer !== "unchanged") this.#tell(answer.value, answer.etag);
    } catch (error) {
      if (this.#left.signal.aborted || (error instanceof api.ApiError && !error.isTransient)) return;
    }
    void this.search?.upTo(this.end);
    this.filter.upTo(this.end);
    if (this.outline?.complete) return;
    const wait = Math.max(OUTLINE_EVERY_MS, OUTLINE_SHARE * (performance.now() - began));
    this.#outlineTimer = setTimeout(() => this.#lookAgain(), wait);
  }

  #lookAgain(): void {
    // A page that nobody looks at asks nothing.
    if (document.hidden) this.#outlineTimer = setTimeout(() => this.#lookAgain(), OUTLINE_EVERY_MS);
    else void this.#lookThrough();
  }

  #tell(outline: api.Outline, tag: string | undefined): void {
    this.outline = outline;
    this.#outlineTag = tag;
    this.#marks = new Map(outline.marks);
    this.groups = this.groups.renewed(outline.groups);
    for (const line of this.#kept()) this.groups.reveal(line, this.#passes);
    this.styles.tell(outline.styles, outline.last_sequence);
    this.#gaps = union(
      this.#gaps,
      outline.gaps.map(([first, last]): Range => [first + 1, last]),
    );
    this.#arrange();
  }
}
