/** Whether what comes is followed; if not, how much of it has come since the person went to where he is. */

import type { Rows } from "./rows";

export class Following {
  #isOn = false;
  /** The last line that the person may have seen, had he stayed. */
  #seen = 0;
  /** The last line that was there when rows were drawn last. */
  #drawn = 0;

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Rows are drawn of a log that ends there. */
  drawn(end: number): void {
    this.#drawn = end;
  }

  /** A log that ends there has opened: what has been drawn of it may have been seen. */
  opened(end: number): void {
    this.#seen = this.#drawn || end;
  }

  /** Begins or ends it, in a log that ends there. */
  turn(on: boolean, end: number): void {
    // While something is pressed lines come that nobody sees. Whoever was elsewhere before has not seen them either.
    if (this.#isOn) this.#seen = this.#drawn || end;
    this.#isOn = on;
  }

  /** The person sees the end. */
  sawEnd(end: number): void {
    this.#seen = end;
  }

  /** Lines that nobody has seen, of those that are shown. */
  fresh(rows: Rows): number {
    return this.#isOn ? 0 : Math.max(0, rows.count - rows.shownUpTo(this.#seen));
  }
}
