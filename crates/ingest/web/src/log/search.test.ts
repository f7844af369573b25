import { expect, test, vi } from "vitest";
import { ApiError, type SearchResult } from "../api";
import { type Ask, MAX_RANGES, Search } from "./search";

const answer = (ranges: [number, number][], through: number, next: number | null = null): SearchResult => ({
  matches: ranges.length,
  ranges,
  through,
  next,
});

test("all pages are asked for, one after the other", async () => {
  const ask = vi
    .fn<Ask>()
    .mockResolvedValueOnce(answer([[3, 5]], 5, 6))
    .mockResolvedValueOnce(answer([[6, 6]], 100));
  const search = new Search({ q: "x" }, ask, () => {});
  await search.upTo(100);
  expect(ask.mock.calls.map(([query]) => query.from)).toEqual([1, 6]);
  expect(search.hits.ranges).toEqual([[3, 6]]);
  expect(search.busy).toBe(false);
});

test("as the log grows only what is new is looked at", async () => {
  const ask = vi
    .fn<Ask>()
    .mockResolvedValueOnce(answer([], 100))
    .mockResolvedValueOnce(answer([[150, 150]], 200));
  const search = new Search({ q: "x" }, ask, () => {});
  await search.upTo(100);
  await search.upTo(100);
  await search.upTo(200);
  expect(ask.mock.calls.map(([query]) => query.from)).toEqual([1, 101]);
  expect(search.hits.count).toBe(1);
});

test("a refusal is shown and not asked for again", async () => {
  const ask = vi.fn<Ask>().mockRejectedValue(new Error("q: unclosed group"));
  const changed = vi.fn();
  const search = new Search({ q: "(", regex: true }, ask, changed);
  await search.upTo(10);
  await search.upTo(20);
  expect(search.error).toMatchObject({ message: "q: unclosed group" });
  expect(ask).toHaveBeenCalledTimes(1);
  expect(changed).toHaveBeenCalled();
});

test("a server that gets nowhere is not asked without end", async () => {
  const ask = vi.fn<Ask>().mockResolvedValue(answer([], 0));
  await new Search({ q: "x" }, ask, () => {}).upTo(10);
  expect(ask).toHaveBeenCalledTimes(1);
});

test("more matches than anybody goes through are not kept", async () => {
  const ask: Ask = ({ from = 1 }) => {
    const ranges = Array.from({ length: 10_000 }, (_, at): [number, number] => [from + 2 * at, from + 2 * at]);
    return Promise.resolve(answer(ranges, from + 20_000, from + 20_001));
  };
  const search = new Search({ q: "x" }, ask, () => {});
  await search.upTo(10_000_000);
  expect(search.hits.ranges).toHaveLength(MAX_RANGES);
  expect(search.full).toBe(true);
});

test("an answer to a question that was closed changes nothing", async () => {
  let give: (result: SearchResult) => void = () => {};
  const changed = vi.fn();
  const search = new Search(
    { q: "x" },
    () =>
      new Promise((resolve) => {
        give = resolve;
      }),
    changed,
  );
  const done = search.upTo(10);
  search.close();
  give(answer([[1, 1]], 10));
  await done;
  expect(search.hits.count).toBe(0);
  expect(changed).not.toHaveBeenCalled();
});

test("a server that has no time is asked again", async () => {
  const busy = new ApiError(503, "too_many_searches", "too many", 10);
  const ask = vi
    .fn<Ask>()
    .mockRejectedValueOnce(busy)
    .mockResolvedValueOnce(answer([[1, 1]], 10));
  const search = new Search({ q: "x" }, ask, () => {});
  await search.upTo(10);
  expect(search.error).toBeNull();
  expect(search.hits.count).toBe(1);
});
