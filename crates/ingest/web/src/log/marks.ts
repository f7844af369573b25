/** What stands beside the scroll bar: where in the whole log the failures and the matches are. */

import type { Range, Rows } from "./rows";

export type MarkKind = "error" | "warning" | "notice" | "hit";

export interface Mark {
  /** Place from the top, 0 to 1. */
  readonly share: number;
  readonly kind: MarkKind;
  /** The first line that it stands for. */
  readonly sequence: number;
}

/** Marks of one kind: beyond so many they would touch. */
export const PLACES = 200;

/** Ranges as marks; those that fall on one place are one. */
export function marks(kind: MarkKind, ranges: readonly Range[], rows: Rows): Mark[] {
  const found = new Map<number, Mark>();
  const count = Math.max(1, rows.count);
  for (const [first, last] of ranges) {
    if (first > rows.end) break;
    const from = Math.floor((rows.rowOf(first) / count) * PLACES);
    const to = Math.floor((rows.rowOf(Math.min(last, rows.end)) / count) * PLACES);
    for (let place = from; place <= to; place += 1) {
      if (!found.has(place)) found.set(place, { share: place / PLACES, kind, sequence: first });
    }
    if (found.size >= PLACES) break;
  }
  return [...found.values()];
}

/** Marks of the server, by kind. */
export function ofKind(all: readonly (readonly [number, string])[], kind: MarkKind): Range[] {
  return all.filter(([, other]) => other === kind).map(([sequence]): Range => [sequence, sequence]);
}
