/**
 * The lines of all workers of a task that the page holds: pieces in order of time, each with the place before it, so
 * that what was let go can be loaded again. Bounded: at one end lines come, at the other they go.
 */

import type { TaskLine } from "../api";
import type { Style } from "../log/ansi";
import { type Carried, isSame, NOTHING, styled } from "./carried";

/** Lines that are held. All of them are in the document. */
export const MOST = 5_000;
/** Of these, where the end is followed: the more there are, the longer takes a frame. */
export const FOLLOWED = 1_000;
/** Lines of a piece that is asked for. */
export const PIECE = 500;
/** The most of one that grows: it is drawn anew each time. */
export const GROWN = 100;

export interface Piece {
  readonly key: number;
  readonly lines: readonly TaskLine[];
  /** How each of them begins. */
  readonly styles: readonly Style[];
  /** What the lines before it left, and what it leaves. */
  readonly carried: readonly [before: Carried, after: Carried];
  /** Where what comes before it ends; `null` where it is the first there is. */
  readonly before: string | null;
}

export interface Timeline {
  readonly pieces: readonly Piece[];
  /** Lines behind the last piece were let go. */
  readonly isCut: boolean;
}

export const EMPTY: Timeline = { pieces: [], isCut: false };

export function pieceOf(
  key: number,
  lines: readonly TaskLine[],
  before: string | null,
  carried: Carried = NOTHING,
): Piece {
  const { styles, after } = styled(lines, carried);
  return { key, lines, styles, carried: [carried, after], before };
}

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
  const earlier = pieceOf(first - 1, lines, before);
  const pieces = [earlier, ...begunWith(earlier.carried[1], timeline.pieces)];
  let left = size({ pieces, isCut: false });
  let isCut = timeline.isCut;
  while (left > MOST && pieces.length > 1) {
    left -= pieces.pop()?.lines.length ?? 0;
    isCut = true;
  }
  return { pieces, isCut };
}

/** The same pieces where it is known now what is left to them. Most leave nothing, and stay as they are. */
function begunWith(carried: Carried, pieces: readonly Piece[]): Piece[] {
  let left = carried;
  return pieces.map((piece) => {
    const begun = isSame(piece.carried[0], left) ? piece : pieceOf(piece.key, piece.lines, piece.before, left);
    left = begun.carried[1];
    return begun;
  });
}

/** With nothing but these lines, where others before them were left out. */
export function replaced({ pieces }: Timeline, lines: readonly TaskLine[], cursor: string | null): Timeline {
  return { pieces: [pieceOf((pieces.at(-1)?.key ?? 0) + 1, lines, cursor)], isCut: false };
}

/** With later lines at the end, `before` which `cursor` was. They join the last piece while that is small. */
export function appended(timeline: Timeline, lines: readonly TaskLine[], cursor: string | null): Timeline {
  const last = timeline.pieces.at(-1);
  if (lines.length === 0) return timeline;
  const added = pieceOf((last?.key ?? 0) + 1, lines, cursor, last?.carried[1]);
  if (last && last.lines.length + lines.length <= GROWN) {
    return { ...timeline, pieces: [...timeline.pieces.slice(0, -1), joined(last, added)] };
  }
  return { ...timeline, pieces: [...timeline.pieces, added] };
}

function joined(one: Piece, other: Piece): Piece {
  return {
    ...one,
    lines: [...one.lines, ...other.lines],
    styles: [...one.styles, ...other.styles],
    carried: [one.carried[0], other.carried[1]],
  };
}

/** Without the earliest pieces, where there are too many lines. */
export function withoutEarliest(timeline: Timeline, most: number): Timeline {
  const pieces = [...timeline.pieces];
  let left = size(timeline);
  while (left > most && pieces.length > 1) left -= pieces.shift()?.lines.length ?? 0;
  return { ...timeline, pieces };
}

export function isFull(timeline: Timeline): boolean {
  return size(timeline) >= MOST;
}
