/** Where a log opens: where it was left, at the line of a link, at the end of one that runs or went well, where one failed. */

import type { Place } from "./place";

/** What a person wants of a log before it is open. */
export interface Wanted {
  /** Where a key is to lead. */
  readonly wish: "start" | "end" | null;
  /** Where it was left. */
  readonly left: Place | null;
  /** The line of a link. */
  readonly linked: number | null;
}

/** What is known of a log. */
export interface Known {
  /** When it was begun. */
  readonly begun: string;
  readonly running: boolean;
  readonly failed: boolean;
  /** What is in the whole of it is known, and so where it failed, if it says that. */
  readonly outlined: boolean;
  readonly firstFailure: number | null;
}

export interface Opening {
  readonly to: "start" | "end" | number;
  /** Where in the window a line is to be. */
  readonly where: "third" | "top";
  /** The line that keys start from. */
  readonly cursor: number | null;
}

/** The way back to where a log was left. */
export function openingAt({ top, cursor }: Place): Opening {
  return { to: typeof top === "number" ? top : "end", where: "top", cursor };
}

/** Where to open a log; nothing while it is not known where it failed. */
export function openingOf({ wish, left, linked }: Wanted, known: Known): Opening | null {
  if (wish) return { to: wish, where: "third", cursor: null };
  // One that was followed to its end opens as if it were new.
  if (left?.begun === known.begun && (known.running || left.top !== "follow")) return openingAt(left);
  if (linked !== null) return { to: linked, where: "third", cursor: linked };
  if (known.failed && !known.outlined) return null;
  const failure = known.failed ? known.firstFailure : null;
  return { to: failure ?? "end", where: "third", cursor: failure };
}
