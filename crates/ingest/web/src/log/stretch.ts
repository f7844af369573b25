/** What is selected of a log, whether it is drawn or not: from a place in one line to a place in another. */

import type { Entry } from "./line";

/** A place in a line, by the text around it as it was drawn; nothing where it is at the line's edge, drawn or not. */
export interface Place {
  readonly sequence: number;
  readonly before: string | null;
  readonly behind: string | null;
}

export interface Stretch {
  readonly first: Place;
  readonly last: Place;
}

/** From one place to the other, whichever was first; nothing where they are the same. */
export function between(one: Place, other: Place): Stretch | null {
  const apart = other.sequence - one.sequence || depth(other) - depth(one);
  if (apart === 0) return null;
  return apart > 0 ? { first: one, last: other } : { first: other, last: one };
}

/** Characters before a place: none at the beginning, more than there are at the end. */
function depth({ before, behind }: Place): number {
  if (before !== null && behind !== "") return before.length;
  return behind === "" ? Number.MAX_SAFE_INTEGER : 0;
}

/** The lines of a stretch, the first and the last of them only as far as they are in it. */
export function cut(entries: readonly Entry[], { first, last }: Stretch): Entry[] {
  return entries.map((entry) => {
    if (entry.kind === "gap") return entry;
    let message = entry.message;
    const behind = entry.sequence === first.sequence ? first.behind : null;
    if (behind !== null) message = behind;
    if (entry.sequence === last.sequence && last.before !== null) {
      message =
        behind === null ? last.before : behind.slice(0, Math.max(0, behind.length - (last.behind ?? "").length));
    }
    return message === entry.message ? entry : { ...entry, message };
  });
}
