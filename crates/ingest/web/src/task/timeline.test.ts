import { describe, expect, it } from "vitest";
import type { TaskLine } from "../api";
import {
  appended,
  beginningOf,
  EMPTY,
  GROWN,
  isFull,
  MOST,
  PIECE,
  prepended,
  size,
  type Timeline,
  withoutEarliest,
} from "./timeline";

const lines = (first: number, number: number) =>
  Array.from({ length: number }, (_, at) => ({ worker_id: "w", sequence: first + at, message: "" }) as TaskLine);
const sequences = ({ pieces }: Timeline) => pieces.flatMap(({ lines }) => lines.map(({ sequence }) => sequence));

describe("lines that come live", () => {
  it("join the last piece while it is small, and are in order", () => {
    let timeline = EMPTY;
    for (let at = 1; at <= GROWN + 1; at += 1) timeline = appended(timeline, lines(at, 1), `before ${at}`);
    expect(timeline.pieces.map(({ lines }) => lines.length)).toEqual([GROWN, 1]);
    expect(sequences(timeline)).toEqual(sequences(appended(EMPTY, lines(1, GROWN + 1), null)));
    expect(timeline.pieces[1]?.before).toBe(`before ${GROWN + 1}`);
  });

  it("leave a piece that they do not join as it is, so that it is not drawn again", () => {
    const before = appended(EMPTY, lines(1, PIECE), null);
    const after = appended(before, lines(PIECE + 1, 1), "c");
    expect(after.pieces[0]).toBe(before.pieces[0]);
    expect(appended(after, [], "d")).toBe(after);
  });

  it("push out the earliest, which can be loaded again from where they ended", () => {
    let timeline = EMPTY;
    for (let at = 0; at < 12; at += 1) timeline = appended(timeline, lines(at * PIECE + 1, PIECE), `c${at}`);
    timeline = withoutEarliest(timeline, MOST);
    expect(size(timeline)).toBe(MOST);
    expect(sequences(timeline)[0]).toBe(2 * PIECE + 1);
    expect(beginningOf(timeline)).toBe("c2");
    expect(isFull(timeline)).toBe(true);
  });
});

it("lines begin with the colour that those before left, also where these are loaded later", () => {
  const red = [{ worker_id: "w", sequence: 1, message: "\x1b[31mred" } as TaskLine];
  const fg = ({ pieces }: Timeline) => pieces.flatMap(({ styles }) => styles.map((style) => style.fg));
  expect(fg(appended(appended(EMPTY, red, null), lines(2, 2), "b"))).toEqual([null, 1, 1]);
  const end = appended(appended(EMPTY, lines(2, GROWN), "b"), lines(GROWN + 2, 1), "c");
  expect(fg(prepended(end, red, null))).toEqual([null, ...Array.from({ length: GROWN + 1 }, () => 1)]);
  const after = prepended(end, lines(1, 1), null);
  expect(after.pieces.slice(1)).toEqual(end.pieces);
  expect(after.pieces[1]).toBe(end.pieces[0]);
});

describe("lines that are loaded", () => {
  it("stand in front, with keys of their own", () => {
    const end = appended(EMPTY, lines(11, 10), "b");
    const all = prepended(end, lines(1, 10), null);
    expect(sequences(all)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(new Set(all.pieces.map(({ key }) => key)).size).toBe(2);
    expect(beginningOf(all)).toBeNull();
    expect(all.isCut).toBe(false);
  });

  it("push out the latest, and that is told", () => {
    let timeline = appended(EMPTY, lines(MOST + 1, PIECE), "c");
    for (let first = MOST - PIECE + 1; first > 0; first -= PIECE)
      timeline = prepended(timeline, lines(first, PIECE), "p");
    expect(size(timeline)).toBe(MOST);
    expect(timeline.isCut).toBe(true);
    expect(sequences(timeline).at(-1)).toBe(MOST);
  });
});
