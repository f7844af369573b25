/**
 * The lines of all workers of a task that the page holds: pieces in order of time, each with the place before it, so
 * that what was let go can be loaded again. Bounded: at one end lines come, at the other they go.
 */

import type { TaskLine } from "../api";

/** Lines that are held. All of them are in the document. */
export const MOST = 5_000;
/** Lines of a piece that is asked for, and the most of one that grows. */
export const PIECE = 500;

export interface Piece {
  readonly key: number;
  readonly lines: readonly TaskLine[];
  /** Where what comes before it ends; `null` where it is the first there is. */
  readonly before: string | null;
}

export interface Timeline {
  readonly pieces: readonly Piece[];
  /** Lines behind the last piece were let go. */
  readonly isCut: boolean;
}

export const EMPTY: Timeline = { pieces: [], isCut: false };

export function size({ pieces }: Timeline): number {
  return pieces.reduce((sum, { lines }) => sum + lines.length, 0);
}

/** Where what comes before everything that is held ends. */
export function beginningOf({ pieces }: Timeline): string | null {
  return pieces[0]?.before ?? null;
}

/** With earlier lines in front; later ones go where there are too many. */
export function prepended(timeline: Timeline, lines: readonly TaskLine[], before: string | null): Timeline {
  const first = timeline.pieces[0]?.key ?? 0;
  const pieces = [{ key: first - 1, lines, before }, ...timeline.pieces];
  let left = size({ pieces, isCut: false });
  let isCut = timeline.isCut;
  while (left > MOST && pieces.length > 1) {
    left -= pieces.pop()?.lines.length ?? 0;
    isCut = true;
  }
  return { pieces, isCut };
}

/** With later lines at the end, `before` which `cursor` was. They join the last piece while that is small. */
export function appended(timeline: Timeline, lines: readonly TaskLine[], cursor: string | null): Timeline {
  const last = timeline.pieces.at(-1);
  if (lines.length === 0) return timeline;
  if (last && last.lines.length + lines.length <= PIECE) {
    const grown = { ...last, lines: [...last.lines, ...lines] };
    return { ...timeline, pieces: [...timeline.pieces.slice(0, -1), grown] };
  }
  return { ...timeline, pieces: [...timeline.pieces, { key: (last?.key ?? 0) + 1, lines, before: cursor }] };
}

/** Without the earliest pieces, where there are too many lines. */
export function withoutEarliest(timeline: Timeline): Timeline {
  const pieces = [...timeline.pieces];
  let left = size(timeline);
  while (left > MOST && pieces.length > 1) left -= pieces.shift()?.lines.length ?? 0;
  return { ...timeline, pieces };
}

export function isFull(timeline: Timeline): boolean {
  return size(timeline) >= MOST;
}
