import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answers } from "../answers";
import { ApiError, type WorkerState } from "../api";
import { waitAfter } from "./backoff";
import { type Events, HIDDEN_MS, Live, type Server } from "./live";

const state = (last: number, closed = false): WorkerState => ({
  worker_id: "w",
  task_id: "t",
  attempt: 1,
  state: closed ? "closed" : "open",
  complete: closed,
  exit_code: closed ? 0 : null,
  signal: closed ? 0 : null,
  reason: null,
  last_sequence: last,
  lines: last,
  bytes: 0,
  lost: 0,
  created_at: "",
  updated_at: "",
});

class Stream implements Events {
  readonly from: number;
  closed = false;
  readonly #listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(from: number) {
    this.from = from;
  }

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }

  say(type: string, data: unknown = null, lastEventId = ""): void {
    this.#listeners.get(type)?.({ data: JSON.stringify(data), lastEventId } as MessageEvent<string>);
  }
}

function setUp(worker: Server["worker"] = () => Promise.resolve(state(10)), isShown = true) {
  const streams: Stream[] = [];
  const told = { connection: vi.fn(), worker: vi.fn(), lines: vi.fn() };
  const tail = (from: number) => {
    const stream = new Stream(from);
    streams.push(stream);
    return stream;
  };
  const live = new Live({ worker, tail }, told, isShown);
  return { live, streams, told, last: () => streams.at(-1) as Stream };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const settled = () => vi.advanceTimersByTimeAsync(0);

test("the tail begins where the worker is", async () => {
  const { live, streams, told } = setUp();
  live.connect();
  await settled();
  expect(streams.map(({ from }) => from)).toEqual([11]);
  expect(told.worker).toHaveBeenCalledWith(state(10));
  streams[0]?.say("open");
  streams[0]?.say("message", [{}], "12");
  expect(told.lines).toHaveBeenCalledWith(12, "[{}]");
  expect(live.connection).toBe("live");
});

test("no line is told twice, and what came meanwhile is known by the worker", async () => {
  const worker = vi.fn().mockResolvedValueOnce(state(10)).mockResolvedValue(state(50));
  const { live, streams, told, last } = setUp(worker);
  live.connect();
  await settled();
  last().say("message", [{}], "12");
  last().say("message", [{}], "12");
  last().say("error");
  expect(last().closed).toBe(true);
  expect(live.connection).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(waitAfter(1, 1));
  expect(streams.map(({ from }) => from)).toEqual([11, 51]);
  streams[0]?.say("message", [{}], "60");
  expect(told.lines).toHaveBeenCalledTimes(1);
});

test("there is one connection at a time", async () => {
  const { live, streams } = setUp();
  live.connect();
  await settled();
  live.connect();
  live.connect();
  await settled();
  expect(streams.filter(({ closed }) => !closed)).toHaveLength(1);
});

test("a server that does not answer is said to be gone, and asked ever more rarely", async () => {
  const worker = vi.fn().mockRejectedValue(new ApiError(0, "unreachable", "refused"));
  const { live, told } = setUp(worker);
  live.connect();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told.connection.mock.calls.map(([connection]) => connection).slice(0, 3)).toEqual([
    "reconnecting",
    "reconnecting",
    "unreachable",
  ]);
  expect(worker.mock.calls.length).toBeGreaterThan(5);
  expect(worker.mock.calls.length).toBeLessThan(20);
});

test("a quiet connection that is ended now and then is no server that is gone", async () => {
  const { live, told, streams, last } = setUp();
  live.connect();
  await settled();
  for (let round = 1; round <= 8; round += 1) {
    last().say("open");
    await vi.advanceTimersByTimeAsync(120_000);
    last().say("error");
    await vi.advanceTimersByTimeAsync(waitAfter(1, 1));
    expect(streams).toHaveLength(round + 1);
  }
  expect(told.connection).not.toHaveBeenCalledWith("unreachable", null);
});

test("connections that are ended at once are made ever more rarely", async () => {
  const { live, told, streams } = setUp();
  live.connect();
  for (let second = 0; second < 60; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    const stream = streams.at(-1);
    if (!stream || stream.closed) continue;
    stream.say("open");
    stream.say("error");
  }
  expect(streams.length).toBeLessThan(12);
  expect(told.connection).toHaveBeenCalledWith("unreachable", null);
});

test("a server that answers another is asked at once, and one that asked to be left alone is not", async () => {
  const gone = new ApiError(0, "unreachable", "");
  const busy = new ApiError(503, "too_many_readers", "", 60_000);
  const worker = vi.fn().mockRejectedValueOnce(gone).mockRejectedValueOnce(busy).mockResolvedValue(state(10));
  const { live, streams } = setUp(worker);
  live.connect();
  await settled();
  answers();
  await settled();
  expect(worker).toHaveBeenCalledTimes(2);
  answers();
  await vi.advanceTimersByTimeAsync(59_000);
  expect(worker).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(streams).toHaveLength(1);
});

test("a connection that was there wakes when the server is, and one that was ended at once keeps its wait", async () => {
  const { live, streams, last } = setUp();
  live.connect();
  await settled();
  last().say("open");
  await vi.advanceTimersByTimeAsync(60_000);
  last().say("error");
  answers();
  await settled();
  expect(streams).toHaveLength(2);
  last().say("open");
  last().say("error");
  answers();
  await settled();
  expect(streams).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(waitAfter(2, 1));
  expect(streams).toHaveLength(3);
  live.close();
  answers();
  await settled();
  expect(streams).toHaveLength(3);
});

test("a log that is refused is asked for again only where a person wants it", async () => {
  const worker = vi.fn().mockRejectedValue(new ApiError(404, "not_found", "no worker w"));
  const { live, told } = setUp(worker);
  live.connect();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(worker).toHaveBeenCalledTimes(1);
  expect(told.connection).toHaveBeenCalledWith("refused", expect.objectContaining({ code: "not_found" }));
  worker.mockResolvedValue(state(1));
  live.connect();
  await settled();
  expect(worker).toHaveBeenCalledTimes(2);
});

test("a closed log has no connection", async () => {
  const { live, streams } = setUp(() => Promise.resolve(state(10, true)));
  live.connect();
  await settled();
  expect(streams).toEqual([]);
  expect(live.connection).toBe("ended");
  live.shown(true);
  live.connect();
  await settled();
  expect(streams).toEqual([]);
});

test("what the server says of the end of a connection is told by its code", async () => {
  const { live, told, last } = setUp();
  live.connect();
  await settled();
  last().say("failed", { code: "store_failed", message: "no disk" });
  const error = expect.objectContaining({ code: "store_failed", message: "no disk" });
  expect(told.connection).toHaveBeenCalledWith("reconnecting", error);
});

test("the end tells the worker's last state and closes the connection", async () => {
  const { live, told, last } = setUp();
  live.connect();
  await settled();
  last().say("end", state(12, true));
  expect(told.worker).toHaveBeenLastCalledWith(state(12, true));
  expect(last().closed).toBe(true);
  expect(live.connection).toBe("ended");
});

test("a page that nobody has seen yet asks nothing, and connects when it is seen", async () => {
  const worker = vi.fn().mockResolvedValue(state(10));
  const { live, streams } = setUp(worker, false);
  live.connect();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(worker).not.toHaveBeenCalled();
  expect(live.connection).toBe("paused");
  live.shown(true);
  expect(live.connection).toBe("connecting");
  await settled();
  expect(streams.map(({ from }) => from)).toEqual([11]);
});

test("a connection that breaks while the page is hidden is made again when it is seen", async () => {
  const { live, streams, last } = setUp();
  live.connect();
  await settled();
  last().say("open");
  live.shown(false);
  last().say("error");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(1);
  live.shown(true);
  await settled();
  expect(streams).toHaveLength(2);
});

test("a page that is hidden for a few seconds lets its connection go, and goes on when it is seen", async () => {
  const { live, streams, last } = setUp();
  live.connect();
  await settled();
  last().say("open");
  live.shown(false);
  expect(HIDDEN_MS).toBeLessThanOrEqual(10_000);
  await vi.advanceTimersByTimeAsync(HIDDEN_MS - 1);
  expect(last().closed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(last().closed).toBe(true);
  expect(live.connection).toBe("paused");
  live.shown(true);
  await settled();
  expect(streams).toHaveLength(2);
});

test("a page that is hidden for a moment keeps its connection", async () => {
  const { live, streams, last } = setUp();
  live.connect();
  await settled();
  last().say("open");
  live.shown(false);
  live.shown(true);
  await vi.advanceTimersByTimeAsync(HIDDEN_MS);
  expect(streams).toHaveLength(1);
  expect(last().closed).toBe(false);
});

test("waits double up to a bound, and are spread", () => {
  expect([1, 2, 3, 30].map((failures) => waitAfter(failures, 0.5))).toEqual([500, 1_000, 2_000, 15_000]);
  expect(waitAfter(1, 0)).toBeLessThan(waitAfter(1, 1));
});
