import { expect, test, vi } from "vitest";
import { ApiError } from "../api";
import { Cache, CHUNK, LINES_GONE, type Load } from "./cache";
import { entryOf } from "./line";
import type { Range } from "./rows";

interface Asked {
  from: number;
  limit: number;
  signal: AbortSignal;
}

/** A server whose line `n` says `line n`, and which writes down what it was asked. */
function server(end: number, answers = true) {
  const asked: Asked[] = [];
  const load: Load = (from, limit, signal) => {
    asked.push({ from, limit, signal });
    if (!answers) return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const count = Math.max(0, Math.min(limit, end - from + 1));
    const lines = Array.from({ length: count }, (_, at) =>
      JSON.stringify({ sequence: from + at, message: `line ${from + at}` }),
    );
    return Promise.resolve(new Response(`${lines.join("\n")}\n`).body as ReadableStream<Uint8Array>);
  };
  return { asked, load };
}

function cacheOf(load: Load, limit?: number) {
  const told = { changed: vi.fn(), gap: vi.fn<(range: Range) => void>(), failed: vi.fn(), recovered: vi.fn() };
  return { cache: new Cache(load, told, limit), told };
}

test("what is wanted is asked for in whole chunks, once", async () => {
  const { asked, load } = server(2_000);
  const { cache, told } = cacheOf(load);
  cache.want([[510, 513]], 2_000, true);
  cache.want([[511, 514]], 2_000, true);
  await vi.waitFor(() => expect(told.changed).toHaveBeenCalledTimes(2));
  expect(asked.map(({ from, limit }) => [from, limit])).toEqual([
    [1, CHUNK],
    [513, CHUNK],
  ]);
  expect(cache.get(1_000)).toMatchObject({ message: "line 1000" });
  cache.want([[600, 600]], 2_000, true);
  expect(asked).toHaveLength(2);
});

test("lines that lie far apart are asked for by themselves, a few at a time", async () => {
  const { asked, load } = server(1_000_000);
  const { cache, told } = cacheOf(load);
  const seen = Array.from({ length: 50 }, (_, at): Range => [at * 20_000 + 1, at * 20_000 + 2]);
  let most = 0;
  told.changed.mockImplementation(() => {
    const before = asked.length;
    cache.want(seen, 1_000_000, false);
    most = Math.max(most, asked.length - before);
  });
  cache.want(seen, 1_000_000, false);
  expect(asked).toHaveLength(4);
  await vi.waitFor(() => expect(cache.get(980_002)).toBeDefined());
  expect(most).toBeLessThanOrEqual(4);
  expect(asked.map(({ from, limit }) => [from, limit])).toEqual(seen.map(([first]) => [first, 2]));
});

test("what has come by itself is not asked for again with what is around it", async () => {
  const { asked, load } = server(2_000);
  const { cache } = cacheOf(load);
  cache.want([[600, 640]], 2_000, false);
  await vi.waitFor(() => expect(cache.get(640)).toBeDefined());
  cache.want([[590, 660]], 2_000, true);
  await vi.waitFor(() => expect(cache.get(1_024)).toBeDefined());
  expect(asked.map(({ from, limit }) => [from, from + limit - 1])).toEqual([
    [600, 640],
    [513, 599],
    [641, 1_024],
  ]);
});

test("of lines that are very long only those are asked for that are seen, once that is known", async () => {
  const asked: number[] = [];
  const long = "x".repeat(64 * 1024);
  const load: Load = (from, limit) => {
    asked.push(from);
    const lines = Array.from({ length: limit }, (_, at) => JSON.stringify({ sequence: from + at, message: long }));
    return Promise.resolve(new Response(`${lines.join("\n")}\n`).body as ReadableStream<Uint8Array>);
  };
  const { cache } = cacheOf(load);
  cache.want([[100, 101]], 512, true);
  await vi.waitFor(() => expect(cache.get(1)).toBeDefined());
  await vi.waitFor(() => {
    cache.want([[100, 101]], 512, true);
    expect(cache.get(101)).toBeDefined();
  });
  expect(asked).toEqual([1, 100]);
});

test("what is no longer wanted is given up", async () => {
  const { asked, load } = server(5_000, false);
  const { cache, told } = cacheOf(load);
  cache.want([[1, 1]], 5_000, true);
  cache.want([[4_000, 4_000]], 5_000, true);
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  cache.close();
  expect(asked[1]?.signal.aborted).toBe(true);
  await Promise.resolve();
  expect(told.failed).not.toHaveBeenCalled();
});

test("the end of a log that grows is asked for as far as it goes, and then from there", async () => {
  const { asked, load } = server(700);
  const { cache, told } = cacheOf(load);
  cache.want([[600, 600]], 600, true);
  await vi.waitFor(() => expect(told.changed).toHaveBeenCalled());
  cache.want([[600, 601]], 700, true);
  await vi.waitFor(() => expect(cache.get(601)).toBeDefined());
  expect(asked.map(({ from, limit }) => [from, limit])).toEqual([
    [513, 88],
    [601, 100],
  ]);
});

test("memory is bounded by bytes, and what is looked at stays", async () => {
  const { load } = server(100_000);
  const limit = 1024 * 1024;
  const { cache } = cacheOf(load, limit);
  for (let line = 1; line < 100_000; line += CHUNK) {
    cache.want([[line, line]], 100_000, true);
    await vi.waitFor(() => expect(cache.get(line)).toBeDefined(), { interval: 1 });
    expect(cache.bytes).toBeLessThanOrEqual(limit + CHUNK * 200);
  }
  expect(cache.get(1)).toBeUndefined();
  expect(cache.get(99_841)).toBeDefined();
});

test("a gap stands in the place of its lines, and is told", () => {
  const { cache, told } = cacheOf(server(0).load);
  cache.put(entryOf({ sequence: 10, gap: { last_sequence: 2_000_000_000, reason: "retention" } }));
  expect(told.gap).toHaveBeenCalledWith([11, 2_000_000_000]);
  expect(cache.get(10)).toMatchObject({ kind: "gap", reason: "retention" });
  expect(cache.get(2_000_000_000)).toBe(cache.get(10));
});

test("lines that the server has no more are a failure with its wait, and not asked for at once again", async () => {
  const { asked, load } = server(0);
  const { cache, told } = cacheOf(load);
  told.changed.mockImplementation(() => cache.want([[1, 1]], 10, true));
  cache.want([[1, 1]], 10, true);
  await vi.waitFor(() => expect(told.failed).toHaveBeenCalledWith(expect.objectContaining({ code: LINES_GONE })));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(asked).toHaveLength(1);
  cache.close();
});

test("a failure is told, and what failed is asked for again after a while", async () => {
  const load = vi.fn<Load>().mockRejectedValueOnce(new Error("gone")).mockImplementation(server(10).load);
  const { cache, told } = cacheOf(load);
  told.changed.mockImplementation(() => cache.want([[1, 1]], 10, true));
  cache.want([[1, 1]], 10, true);
  await vi.waitFor(() => expect(told.failed).toHaveBeenCalledWith(expect.objectContaining({ message: "gone" })));
  cache.want([[1, 1]], 10, true);
  expect(load).toHaveBeenCalledTimes(1);
  await vi.waitFor(() => expect(told.recovered).toHaveBeenCalledTimes(1), { timeout: 3_000 });
  expect(cache.get(1)).toBeDefined();
});

test("a server that has no time is asked again after as long as it says", async () => {
  vi.useFakeTimers();
  try {
    const busy = new ApiError(503, "too_many_readers", "come back later", 20_000);
    const load = vi.fn<Load>().mockRejectedValueOnce(busy).mockImplementation(server(10).load);
    const { cache, told } = cacheOf(load);
    told.changed.mockImplementation(() => cache.want([[1, 1]], 10, true));
    cache.want([[1, 1]], 10, true);
    await vi.advanceTimersByTimeAsync(19_000);
    expect(load).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(load).toHaveBeenCalledTimes(2);
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ["a log that is not there", new ApiError(404, "not_found", "worker w is not known"), 1],
  ["a page of a proxy", new ApiError(404, "unreachable", "HTTP 404"), 2],
])("%s is asked for so often by itself, and again when somebody wants it", async (_, error, times) => {
  vi.useFakeTimers();
  try {
    const load = vi.fn<Load>().mockRejectedValueOnce(error).mockImplementation(server(10).load);
    const { cache, told } = cacheOf(load);
    told.changed.mockImplementation(() => cache.want([[1, 1]], 10, true));
    cache.want([[1, 1]], 10, true);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(load).toHaveBeenCalledTimes(times);
    expect(told.failed).toHaveBeenCalledWith(error);
    cache.retry();
    await vi.advanceTimersByTimeAsync(1);
    expect(cache.get(1)).toBeDefined();
    expect(told.recovered).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});

/** An answer with these lines. */
const bodyOf = (...sequences: number[]) => {
  const lines = sequences.map((sequence) => `${JSON.stringify({ sequence, message: `early ${sequence}` })}\n`);
  return new Response(lines.join("")).body as ReadableStream<Uint8Array>;
};

test("lines that are on their way are not asked for, and what does not come of them is", async () => {
  const { asked, load } = server(2_000);
  const { cache, told } = cacheOf(load);
  cache.bring([100, 103], Promise.resolve(bodyOf(100, 101, 102)));
  cache.want([[100, 103]], 2_000, false);
  expect(asked).toHaveLength(0);
  await vi.waitFor(() => expect(told.changed).toHaveBeenCalledTimes(1));
  expect(cache.get(102)).toMatchObject({ message: "early 102" });
  cache.want([[100, 103]], 2_000, false);
  expect(asked.map(({ from, limit }) => [from, limit])).toEqual([[103, 1]]);
});

test.each([
  ["nothing of them comes", () => Promise.resolve(bodyOf())],
  ["their answer fails", () => Promise.reject(new TypeError("gone"))],
  ["they are others", () => Promise.resolve(bodyOf(900))],
])("lines that were on their way are asked for where %s, and nothing is said of it", async (_, body) => {
  const { asked, load } = server(2_000);
  const { cache, told } = cacheOf(load);
  cache.bring([100, 103], body());
  await vi.waitFor(() => expect(told.changed).toHaveBeenCalledTimes(1));
  cache.want([[100, 103]], 2_000, false);
  await vi.waitFor(() => expect(cache.get(103)).toMatchObject({ message: "line 103" }));
  expect(asked).toHaveLength(1);
  expect(told.failed).not.toHaveBeenCalled();
});
