/**
 * Where a log was left: kept with the entry of the browser's history, so that Back, a reload and another tab come back to
 * it, and a link that somebody gives, which is a new entry, does not. An entry may be of a task, and has a place for each worker.
 */

export interface Place {
  /** When the log was begun: another one may have its name by now. */
  readonly begun: string;
  /** The line at the top, or what is kept in sight instead: what comes, or the end of a log that is closed. */
  readonly top: number | "follow" | "end";
  /** The line that keys start from. */
  readonly cursor: number | null;
}

type Places = Readonly<Record<string, Place>>;

/** Where a worker's log was left, by the state of an entry. */
export function placeOf(state: unknown, worker: string): Place | null {
  const places = placesIn(state);
  return Object.hasOwn(places, worker) ? (places[worker] ?? null) : null;
}

/** The state of an entry in which a worker's log was left there. */
export function withPlace(state: unknown, worker: string, place: Place): unknown {
  return { places: { ...placesIn(state), [worker]: place } };
}

/** The line around which a log begins that was left there; none where it begins at its end. */
export function lineOf({ top }: Place): number | null {
  return typeof top === "number" ? top : null;
}

function isSame(one: Place | null, other: Place): boolean {
  return one?.begun === other.begun && one.top === other.top && one.cursor === other.cursor;
}

/** Where a log was left, and then where it is: kept where that has changed. */
export class Bookmark {
  #place: Place | null;
  readonly #keep: (place: Place) => void;

  constructor(place: Place | null, keep: (place: Place) => void) {
    this.#place = place;
    this.#keep = keep;
  }

  get place(): Place | null {
    return this.#place;
  }

  put(place: Place): void {
    if (isSame(this.#place, place)) return;
    this.#place = place;
    this.#keep(place);
  }
}

/** Nobody else keeps anything there. */
function placesIn(state: unknown): Places {
  return (state as { places: Places } | null)?.places ?? {};
}
