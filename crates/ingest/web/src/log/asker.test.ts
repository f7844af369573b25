import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Asker, runs } from "./asker";
import { Groups } from "./groups";
import type { Log } from "./model";
import { type Range, Rows } from "./rows";

const END = 1_000_000;

/** What is asked for of a log with these holes. */
function askerOf(holes: readonly Range[] = [], groups = new Groups()) {
  const want = vi.fn<(ranges: readonly Range[], end: number, whole: boolean) => void>();
  const rows = new Rows(END, holes);
  const asker = new Asker({ rows, groups, end: END, cache: { want } } as unknown as Log);
  const seen = (row: number) =>
    asker.seen(
      Array.from({ length: 30 }, (_, at) => rows.sequenceOf(row + at)),
      30,
    );
  return { asker, seen, want };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test("lines near each other are asked for together", () => {
  expect(runs([5, 1, 2, 60, 1_000])).toEqual([
    [1, 60],
    [1_000, 1_000],
  ]);
  expect(runs([])).toEqual([]);
});

test("where a log is opened, what is seen comes first, and what is around it after", () => {
  const { seen, want } = askerOf();
  seen(5_000);
  expect(want.mock.calls).toEqual([[[[5_001, 5_030]], END, false]]);
  vi.advanceTimersByTime(60);
  seen(5_001);
  expect(want).toHaveBeenLastCalledWith([[5_002, 5_031]], END, false);
  seen(5_000);
  vi.advanceTimersByTime(60);
  expect(want).toHaveBeenLastCalledWith([[4_971, 5_061]], END, true);
  seen(5_003);
  expect(want).toHaveBeenLastCalledWith([[4_974, 5_064]], END, true);
});

test.each([100, 800])("what is passed at %i lines a frame is not asked for until the window rests", (speed) => {
  const { seen, want } = askerOf();
  for (let frame = 0; frame < 60; frame += 1) {
    // Frames may come oftener than the window is moved.
    seen(1 + frame * speed);
    vi.advanceTimersByTime(8);
    seen(1 + frame * speed);
    vi.advanceTimersByTime(8);
  }
  // The first place might have been the only one.
  const first = [[2, 31]];
  expect(want.mock.calls.map(([ranges]) => ranges)).toEqual([first, first]);
  const last = 1 + 59 * speed;
  vi.advanceTimersByTime(60);
  expect(want).toHaveBeenCalledTimes(3);
  expect(want).toHaveBeenLastCalledWith([[last + 1, last + 30]], END, false);
  vi.advanceTimersByTime(60);
  expect(want).toHaveBeenLastCalledWith([[last - 29, last + 61]], END, true);
});

test("a window that was gone to is asked for again with each answer, until all of it is on its way", () => {
  const { seen, want } = askerOf();
  seen(5_000);
  for (let answers = 1; answers <= 3; answers += 1) {
    vi.advanceTimersByTime(10);
    seen(5_000);
  }
  expect(want.mock.calls.map(([ranges]) => ranges)).toEqual(Array.from({ length: 4 }, () => [[5_001, 5_030]]));
});

test("what is passed slowly enough to be seen is asked for ten times a second at most", () => {
  const { seen, want } = askerOf();
  for (let frame = 0; frame < 60; frame += 1) {
    seen(1 + frame * 60);
    vi.advanceTimersByTime(16);
  }
  expect(want.mock.calls.length).toBeGreaterThan(5);
  expect(want.mock.calls.length).toBeLessThanOrEqual(11);
  for (const [, , whole] of want.mock.calls.slice(1)) expect(whole).toBe(true);
});

test("where hidden lines lie between those that are seen, nothing else is asked for, and no heading", () => {
  const each = Array.from({ length: 1_000 }, (_, at) => at * 1_000 + 1);
  const group = { title: "", depth: 0, collapsed: true, started_at: "", ended_at: null };
  const groups = new Groups(each.slice(0, 900).map((first) => ({ ...group, first, last: first + 999 })));
  const { seen, want } = askerOf(
    each.map((first): Range => [first + 1, first + 999]),
    groups,
  );
  seen(0);
  vi.advanceTimersByTime(120);
  expect(want).toHaveBeenLastCalledWith([], END, false);
  seen(880);
  vi.advanceTimersByTime(120);
  expect(want.mock.lastCall?.[0].map(([first]) => first)).toEqual(each.slice(900, 910));
});
