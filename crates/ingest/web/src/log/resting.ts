/** Where a log is, which is remembered once it rests there. */

import { isSame, type Place } from "./place";

/** How long a log rests until then. Browsers take about 100 such notes in 30 s. */
const REST_MS = 350;

export class Resting {
  readonly #remember: (place: Place) => void;
  #place: Place | null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Begins with where the log was left. */
  constructor(left: Place | null, remember: (place: Place) => void) {
    this.#place = left;
    this.#remember = remember;
  }

  get place(): Place | null {
    return this.#place;
  }

  at(place: Place): void {
    if (isSame(this.#place, place)) return;
    this.#place = place;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#remember(place), REST_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
