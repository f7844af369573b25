import { expect, test } from "vitest";
import { Pace } from "./pace";
import { Rows } from "./rows";

/** Looks every five seconds at a log that grows by one line each time; when it was told of, and of how much. */
function heard(pace: Pace, from: number, to: number, lines: (second: number) => number): [number, number][] {
  const told: [number, number][] = [];
  for (let second = from; second <= to; second += 5) {
    const fresh = pace.look(new Rows(lines(second)), second * 1000);
    if (fresh > 0) told.push([second, fresh]);
  }
  return told;
}

test("lines that keep coming are told of ever less often, and none of them twice", () => {
  const told = heard(new Pace(), 0, 400, (second) => 100 + second);
  expect(told).toEqual([
    [5, 5],
    [35, 30],
    [155, 120],
    [275, 120],
    [395, 120],
  ]);
});

test("what comes after a rest is told of soon", () => {
  const pace = new Pace();
  heard(pace, 0, 100, (second) => 100 + second);
  expect(heard(pace, 105, 300, (second) => (second < 250 ? 200 : second))).toEqual([
    [155, 65],
    [250, 50],
    [280, 30],
  ]);
});

test("what was there before is not told of", () => {
  expect(heard(new Pace(), 0, 300, () => 1_000)).toEqual([]);
  expect(heard(new Pace(), 0, 10, (second) => (second === 0 ? 0 : 1_000))).toEqual([]);
});

test("what is not shown is not told of", () => {
  const pace = new Pace();
  const hidden = (end: number) => new Rows(end, [[101, Number.POSITIVE_INFINITY]]);
  expect(pace.look(hidden(100), 0)).toBe(0);
  expect(pace.look(hidden(200), 10_000)).toBe(0);
  expect(pace.look(new Rows(201, [[101, 199]]), 20_000)).toBe(2);
});
