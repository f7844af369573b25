import { expect, test } from "vitest";
import { Hits } from "./hits";

const hits = new Hits([
  [3, 5],
  [9, 9],
]);

test("the next and the previous match are found from any line", () => {
  expect([0, 2, 3, 5, 8, 9].map((line) => hits.after(line))).toEqual([3, 3, 4, 9, 9, null]);
  expect([3, 4, 6, 9, 10, 99].map((line) => hits.before(line))).toEqual([null, 3, 5, 5, 9, 9]);
});

test("each match has its number", () => {
  expect(hits.count).toBe(4);
  expect([3, 5, 9].map((line) => hits.ordinal(line))).toEqual([1, 3, 4]);
  expect([1, 7].map((line) => hits.ordinal(line))).toEqual([0, 3]);
  expect([2, 4, 6].map((line) => hits.has(line))).toEqual([false, true, false]);
});

test("a run that goes on over pages is one run", () => {
  expect(
    hits.with([
      [10, 12],
      [20, 20],
    ]).ranges,
  ).toEqual([
    [3, 5],
    [9, 12],
    [20, 20],
  ]);
  expect(hits.with([[11, 12]]).ranges).toEqual([
    [3, 5],
    [9, 9],
    [11, 12],
  ]);
  expect(hits.with([])).toBe(hits);
});
