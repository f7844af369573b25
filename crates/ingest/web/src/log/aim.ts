/** The line that a person wants to go to, while it is not known whether it is shown, or while it has not come. */

import { SOURCES, type Source } from "./line";
import type { Log } from "./model";

export type Where = "third" | "nearest" | "top";

export interface Heard {
  /** The line is shown, and may be gone to. */
  reached(line: number, where: Where): void;
  /** Its stream was hidden, and is shown again. */
  streamShown(source: Source): void;
}

export class Aim {
  readonly #log: Log;
  readonly #heard: Heard;
  #at: { readonly line: number; readonly where: Where } | null = null;
  #unhiding = false;

  constructor(log: Log, heard: Heard) {
    this.#log = log;
    this.#heard = heard;
  }

  /** A line is wanted, and not gone to yet. */
  get waits(): boolean {
    return this.#at !== null;
  }

  at(line: number, where: Where): void {
    this.#at = { line, where };
    this.reach();
  }

  drop(): void {
    this.#at = null;
  }

  /** Goes to the line, once it is known whether it is shown; has its stream shown if it is not. */
  reach(): void {
    const at = this.#at;
    if (!at || at.line > this.#log.end) return;
    const shown = this.#log.isShown(at.line);
    if (shown) {
      this.#at = null;
      this.#heard.reached(at.line, at.where);
    } else if (shown === false && !this.#unhiding) void this.#unhide(at.line);
  }

  async #unhide(line: number): Promise<void> {
    this.#unhiding = true;
    const source = await this.#log.sourceOf(line).catch(() => null);
    this.#unhiding = false;
    if (this.#at?.line !== line) return this.reach();
    const { shown } = this.#log.filter;
    // A line whose stream cannot be told comes with all.
    const isTold = source !== null && !shown.has(source);
    this.#log.setSources(new Set(isTold ? [...shown, source] : SOURCES), line);
    if (isTold) this.#heard.streamShown(source);
  }
}
