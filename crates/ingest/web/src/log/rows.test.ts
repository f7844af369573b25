import { expect, test } from "vitest";
import { complement, type Range, Rows, renumbering, union } from "./rows";

/** The rows as a list, made in the simplest way. */
function visible(end: number, holes: readonly Range[]): number[] {
  const all = Array.from({ length: end }, (_, at) => at + 1);
  return all.filter((line) => !holes.some(([first, last]) => line >= first && line <= last));
}

/** Numbers that look random and are the same each time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state;
  };
}

test("without holes a line is in the row before its number", () => {
  const rows = new Rows(1_000_000);
  expect(rows.count).toBe(1_000_000);
  expect(rows.sequenceOf(0)).toBe(1);
  expect(rows.rowOf(1_000_000)).toBe(999_999);
});

test("rows and lines are as a plain list has them, whatever is hidden", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = numbers(seed);
    const end = (random() % 60) + 1;
    const holes = union(
      Array.from({ length: random() % 8 }, (): Range => {
        const first = (random() % end) + 1;
        return [first, first + (random() % 9)];
      }),
    );
    const rows = new Rows(end, holes);
    const list = visible(end, holes);
    expect(rows.count).toBe(list.length);
    list.forEach((line, row) => {
      expect(rows.sequenceOf(row)).toBe(line);
      expect(rows.rowOf(line)).toBe(row);
      expect(rows.isHidden(line)).toBe(false);
    });
  }
});

test("a hidden line is found in the row right before it", () => {
  const rows = new Rows(10, [[3, 5]]);
  expect([3, 4, 5].map((line) => rows.rowOf(line))).toEqual([1, 1, 1]);
  expect(new Rows(10, [[1, 4]]).rowOf(2)).toBe(0);
});

test("a hole that has no end yet hides what comes", () => {
  const rows = new Rows(5, [[4, Number.POSITIVE_INFINITY]]);
  expect(rows.count).toBe(3);
  expect(rows.grown(1_000).count).toBe(3);
  expect(rows.sequenceOf(99)).toBe(3);
});

test("a log that grows keeps its holes", () => {
  const rows = new Rows(5, [[2, 3]]).grown(8);
  expect(rows.count).toBe(6);
  expect(rows.sequenceOf(5)).toBe(8);
});

test("an empty log has no rows", () => expect(new Rows(0).count).toBe(0));

test("ranges that touch are one", () => {
  expect(
    union(
      [
        [5, 6],
        [1, 2],
      ],
      [
        [3, 3],
        [6, 9],
      ],
    ),
  ).toEqual([
    [1, 3],
    [5, 9],
  ]);
  expect(union([[4, 3]])).toEqual([]);
});

test("what is in no range is the rest", () => {
  expect(
    complement(
      [
        [2, 3],
        [5, 5],
      ],
      7,
    ),
  ).toEqual([
    [1, 1],
    [4, 4],
    [6, 7],
  ]);
  expect(complement([], 2)).toEqual([[1, 2]]);
  expect(complement([[1, 9]], 4)).toEqual([]);
});

test("what was in a row is found where it is now, and the end is as far as it was", () => {
  const before = new Rows(100, [[11, 20]]);
  const now = new Rows(120, [[31, 50]]);
  const to = renumbering(before, now, 1);
  expect([to(0), to(9), to(10), to(30)]).toEqual([0, 9, 20, 29]);
  expect([to(90), to(92), to(Number.POSITIVE_INFINITY)]).toEqual([100, 102, Number.POSITIVE_INFINITY]);
  const empty = new Rows(100, [[1, 100]]);
  const back = renumbering(empty, before, 40);
  expect([back(0), back(Number.POSITIVE_INFINITY)]).toEqual([29, Number.POSITIVE_INFINITY]);
});
