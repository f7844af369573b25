import { afterEach, beforeEach, expect, test, vi } from "vitest";

const ADDRESS = "/api/v1/workers/one";

/** What is asked of a server at first. */
async function opened(hash: string, state: unknown = null) {
  const ask = vi.fn((address: string, _signal: AbortSignal) => Promise.resolve(Response.json(address)));
  const early = await import("./early");
  early.askFor(hash, state, ask);
  const { calls } = ask.mock;
  return { ...early, asked: calls.map(([address]) => address), signals: calls.map(([, signal]) => signal) };
}

// What is kept of one page is nothing to another.
beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test("a worker's log is asked for before there is a page", async () => {
  const { asked } = await opened("#/workers/build%201");
  const address = "/api/v1/workers/build%201";
  expect(asked).toEqual([address, `${address}/outline`, `${address}/logs?from=-128&limit=128`]);
});

test("how a worker stands is for two who ask, what is in its log for one", async () => {
  const { taken } = await opened("#/workers/one");
  for (const turn of [1, 2]) expect(await (await taken(ADDRESS))?.json(), `${turn}`).toBe(ADDRESS);
  expect(taken(ADDRESS)).toBeUndefined();
  expect(await (await taken(`${ADDRESS}/outline`))?.json()).toBe(`${ADDRESS}/outline`);
  expect(taken(`${ADDRESS}/outline`)).toBeUndefined();
  expect(taken("/api/v1/workers/other")).toBeUndefined();
});

test.each([
  ["at its end", "#/workers/one", 5_000, "-128", [4_873, 5_000]],
  ["whole, where it is short", "#/workers/one", 5, "-128", [1, 5]],
  ["at a line", "#/workers/one?line=700-720", 5_000, "636", [636, 763]],
  ["at a line as it is written", "#/workers/one#L700-L720", 5_000, "636", [636, 763]],
  ["at a line near its beginning", "#/workers/one#L7", 5_000, "1", [1, 128]],
  ["at a line near its end", "#/workers/one#L700", 720, "636", [636, 720]],
])("lines are asked for %s", async (_, hash, end, from, lines) => {
  const { asked, takenLines } = await opened(hash);
  const address = `${ADDRESS}/logs?from=${from}&limit=128`;
  expect(asked[2]).toBe(address);
  const taken = takenLines(ADDRESS, end);
  expect(taken?.lines).toEqual(lines);
  expect(await (await taken?.response)?.json()).toBe(address);
  expect(takenLines(ADDRESS, end)).toBeUndefined();
});

test.each([
  ["where it was left", 2_000, "1936"],
  ["at its end, where that was followed", "follow", "-128"],
])("lines of a log are asked for %s, whatever line its address names", async (_, top, from) => {
  const state = { places: { "build 1": { top, cursor: null }, other: { top: 9, cursor: null } } };
  const { asked } = await opened("#/workers/build%201#L700", state);
  expect(asked[2]).toBe(`/api/v1/workers/build%201/logs?from=${from}&limit=128`);
});

test.each([
  ["an empty log", "#/workers/one", 0],
  ["a log that ends before the line", "#/workers/one#L9999", 5_000],
])("%s has no lines there", async (_, hash, end) => {
  const { takenLines } = await opened(hash);
  expect(takenLines(ADDRESS, end)).toBeUndefined();
});

test("a name is spelled as the API's addresses are, however the link is written", async () => {
  const { asked } = await opened("#/workers/build:17@b");
  expect(asked[0]).toBe("/api/v1/workers/build%3A17%40b");
});

test("what nobody has taken for a while is given up, and asked anew", async () => {
  const { taken, takenLines, signals, FRESH_MS, TIMEOUT_MS } = await opened("#/workers/one");
  expect(taken(`${ADDRESS}/outline`)).toBeDefined();
  vi.advanceTimersByTime(FRESH_MS);
  expect(taken(ADDRESS)).toBeUndefined();
  expect(takenLines(ADDRESS, 100)).toBeUndefined();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, true]);
  // Who has taken it waits no longer than for any answer.
  vi.advanceTimersByTime(TIMEOUT_MS);
  expect(signals[1]?.reason).toMatchObject({ name: "TimeoutError" });
});

test("what one of two has taken is not given up", async () => {
  const { taken, signals, FRESH_MS } = await opened("#/workers/one");
  const first = taken(ADDRESS);
  vi.advanceTimersByTime(FRESH_MS);
  expect(taken(ADDRESS)).toBeUndefined();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, true]);
  expect(await (await first)?.json()).toBe(ADDRESS);
});

test("lines that are not there are waited for no longer", async () => {
  const { takenLines, signals } = await opened("#/workers/one#L9999");
  takenLines(ADDRESS, 5_000);
  expect(signals[2]?.aborted).toBe(true);
});

test("other views ask nothing early", async () => {
  for (const hash of ["", "#/", "#/tasks/workers", "#/workers/", "#/workers/a/b", "#/workers/%"])
    expect((await opened(hash)).asked).toEqual([]);
});

test("a failure is told to who takes the answer, and to nobody else", async () => {
  const { askFor, taken } = await import("./early");
  askFor("#/workers/gone", null, () => Promise.reject(new TypeError("gone")));
  await expect(taken("/api/v1/workers/gone")).rejects.toThrow("gone");
});
