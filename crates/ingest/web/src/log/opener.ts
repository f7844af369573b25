/**
 * How a log opens: once, where `opening` says, as soon as that is known, or where the person goes before. A failed worker's
 * log shows its end while it is not known where it failed.
 */

import type { Log } from "./model";
import { type Opening, openingOf } from "./opening";
import type { Place } from "./place";

/** How long a failed worker's log waits to be told where it failed before its end is shown. */
const FAILURE_WAIT_MS = 150;

export interface Opens {
  open(opening: Opening): void;
  /** Its end is shown until it is settled. */
  showEnd(): void;
}

/** What has to be known of a log. */
type Facts = Pick<Log, "worker" | "running" | "outline" | "failed" | "firstFailure" | "rows">;

export class Opener {
  readonly #log: Facts;
  readonly #opens: Opens;
  #state: "unknown" | "at end" | "settled" = "unknown";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Where a key was to lead before anything was known of the log. */
  #wish: "start" | "end" | null = null;
  /** The line that was named, until it is known whether a group hides it. */
  #named: number | null = null;

  constructor(log: Facts, opens: Opens) {
    this.#log = log;
    this.#opens = opens;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Where to begin is settled, by the log or by the person. */
  get isSettled(): boolean {
    return this.#state === "settled";
  }

  /** Nothing is drawn, nor asked for, before it is settled where. */
  get isShown(): boolean {
    return this.#state !== "unknown";
  }

  /** Has a key lead there once anything is known of the log; whether nothing is known yet. */
  wishes(to: "start" | "end"): boolean {
    if (this.#log.worker) return false;
    this.#wish = to;
    return true;
  }

  /** The person goes somewhere, or the log does. Before anything is known of it, it cannot be settled. */
  settle(): void {
    this.#named = null;
    if (!this.#log.worker) return;
    this.#state = "settled";
    clearTimeout(this.#timer);
  }

  /** Opens it where it was left, or where a link leads, or where the log says, as far as that can be told. */
  begin(left: Place | null, linked: number | null): void {
    const { worker, running, outline, failed, firstFailure } = this.#log;
    if (this.isSettled || !worker) return;
    const known = { begun: worker.created_at, running, failed, outlined: outline !== null, firstFailure };
    const opening = openingOf({ wish: this.#wish, left, linked }, known);
    if (opening) this.#opens.open(opening);
    else this.#timer ??= setTimeout(() => this.#showEnd(), FAILURE_WAIT_MS);
  }

  /** A line was named from outside, and gone to; or the person has gone on from there. */
  named(line: number | null): void {
    this.#named = line;
  }

  /** The line that was named, where it turns out to be in a folded group, which was not known then; told once. */
  hidden(): number | null {
    const line = this.#named;
    if (line === null || !this.#log.outline) return null;
    this.#named = null;
    return this.#log.rows.isHidden(line) ? line : null;
  }

  #showEnd(): void {
    this.#state = "at end";
    this.#opens.showEnd();
  }
}
