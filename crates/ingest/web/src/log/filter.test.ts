import { expect, test, vi } from "vitest";
import type { SearchResult } from "../api";
import { Filter, type Make, toggled } from "./filter";
import { SOURCES, type Source } from "./line";
import type { Range } from "./rows";
import { type Ask, MAX_RANGES, Search } from "./search";

/** Of a log in which each tenth line is of stderr, or whatever these answers say. */
function filterOf(...answers: (Partial<SearchResult> | Error)[]) {
  const changed = vi.fn();
  const asked: (() => void)[] = [];
  const ask: Ask = () =>
    new Promise((resolve, reject) =>
      asked.push(() => {
        const answer = answers.shift() ?? {};
        if (answer instanceof Error) reject(answer);
        else resolve({ matches: 0, ranges: [], through: 0, next: null, ...answer });
      }),
    );
  const make: Make = (sources, told) => new Search({ q: "", source: sources }, ask, told);
  const filter = new Filter(make, changed);
  /** Lets the server answer. */
  const answer = async () => {
    const before = changed.mock.calls.length;
    asked.shift()?.();
    await vi.waitFor(() => expect(changed.mock.calls.length).toBeGreaterThan(before));
  };
  return { filter, answer, changed };
}

const STDERR: ReadonlySet<Source> = new Set(["stderr"]);
const tenths = (from: number, to: number) => {
  const ranges: Range[] = [];
  for (let line = from; line <= to; line += 10) ranges.push([line, line]);
  return ranges;
};

test("what was shown stays until the lines that are looked at are known", async () => {
  const { filter, answer } = filterOf(
    { ranges: tenths(10, 400) as [number, number][], through: 400, next: 401 },
    { ranges: tenths(410, 800) as [number, number][], through: 800, next: 801 },
  );
  filter.choose(STDERR, 500, 1_000);
  expect([filter.busy, filter.holes([]), filter.passes(10)]).toEqual([true, [], null]);
  await answer();
  expect([filter.busy, filter.holes([])]).toEqual([true, []]);
  await answer();
  expect(filter.busy).toBe(false);
  expect(filter.holes([]).at(-1)).toEqual([801, Number.POSITIVE_INFINITY]);
  expect([filter.passes(10), filter.passes(11), filter.passes(801)]).toEqual([true, false, null]);
  filter.choose(new Set(SOURCES), 0, 1_000);
  expect([filter.holes([]), filter.passes(11)]).toEqual([[], true]);
});

test("behind more runs of lines than are kept, lines of all streams are shown, and that is told", async () => {
  const ranges = tenths(10, MAX_RANGES * 10) as [number, number][];
  const { filter, answer } = filterOf({ ranges, through: MAX_RANGES * 10, next: MAX_RANGES * 10 + 1 });
  filter.choose(STDERR, 1, MAX_RANGES * 20);
  await answer();
  expect([filter.stopped, filter.through]).toEqual(["full", MAX_RANGES * 10]);
  expect(filter.holes([]).at(-1)).toEqual([MAX_RANGES * 10 - 9, MAX_RANGES * 10 - 1]);
  expect(filter.passes(MAX_RANGES * 10 + 5)).toBe(true);
});

test("an error hides nothing, and is told", async () => {
  const { filter, answer } = filterOf(new Error("gone"));
  filter.choose(STDERR, 1, 100);
  await answer();
  expect([filter.stopped, filter.busy, filter.holes([]), filter.passes(50)]).toEqual(["failed", false, [], true]);
  expect(filter.error).toMatchObject({ message: "gone" });
});

test("of a log that grows it is asked often which lines are shown, and not with each of them", async () => {
  vi.useFakeTimers();
  const { filter } = filterOf();
  const upTo = vi.spyOn(filter, "upTo");
  filter.soon(() => 1);
  vi.advanceTimersByTime(1_000);
  expect(upTo).not.toHaveBeenCalled();
  filter.choose(STDERR, 1, 100);
  for (let line = 101; line <= 200; line += 1) {
    filter.soon(() => line);
    vi.advanceTimersByTime(10);
  }
  expect(upTo.mock.calls.length).toBeGreaterThan(4);
  expect(upTo.mock.calls.length).toBeLessThan(10);
  vi.useRealTimers();
});

test("a stream is taken out and put in again, and without the last one all are shown", () => {
  const two = toggled(new Set(SOURCES), "stderr");
  expect([...two]).toEqual(["stdout", "system"]);
  expect(toggled(two, "stderr")).toEqual(new Set(SOURCES));
  expect(toggled(new Set(["system"]), "system")).toEqual(new Set(SOURCES));
});
