import { describe, expect, it } from "vitest";
import type { WorkerState } from "../api";
import {
  inOrder,
  isIncomplete,
  mostWanted,
  quietFor,
  sharedLength,
  shortNames,
  signalName,
  standingOf,
  standingOfTask,
} from "./standing";

const OPEN: WorkerState = {
  worker_id: "w",
  task_id: "t",
  attempt: 1,
  state: "open",
  complete: false,
  exit_code: null,
  signal: null,
  reason: null,
  last_sequence: 5,
  lines: 5,
  bytes: 50,
  lost: 0,
  created_at: "2026-03-01T12:00:00Z",
  updated_at: "2026-03-01T12:01:00Z",
};
const closed = (exit_code: number | null, change: Partial<WorkerState> = {}): WorkerState => ({
  ...OPEN,
  state: "closed",
  complete: true,
  exit_code,
  signal: 0,
  reason: "",
  ...change,
});

describe("a worker", () => {
  it.each([
    ["has not written", { ...OPEN, last_sequence: 0 }, { kind: "waiting" }],
    ["writes", OPEN, { kind: "running" }],
    ["went well", closed(0), { kind: "passed", code: 0 }],
    ["failed", closed(3), { kind: "failed", code: 3 }],
    ["nobody knows the end of", closed(null, { reason: "agent_gone" }), { kind: "failed", code: null }],
    ["was killed", closed(137, { signal: 9 }), { kind: "signalled", signal: 9 }],
  ])("that %s stands so", (_, worker, standing) => {
    expect(standingOf(worker)).toEqual(standing);
  });

  it("falls short only when its log is closed", () => {
    expect(isIncomplete(OPEN)).toBe(false);
    expect(isIncomplete(closed(0))).toBe(false);
    expect(isIncomplete(closed(0, { complete: false, reason: "agent_gone" }))).toBe(true);
  });

  it("is quiet after a minute, and not when it has ended", () => {
    const now = Date.parse(OPEN.updated_at);
    expect(quietFor(OPEN, now + 59_999)).toBeNull();
    expect(quietFor(OPEN, now + 60_000)).toBe(60_000);
    expect(quietFor(closed(0), now + 60_000)).toBeNull();
  });
});

it("the worker to look at first failed, else fell short, else still runs, else is the first", () => {
  const [good, short, bad] = [closed(0), closed(0, { complete: false }), closed(1)];
  expect(mostWanted([good, OPEN, short, bad])).toBe(bad);
  expect(mostWanted([good, OPEN, short])).toBe(short);
  expect(mostWanted([good, OPEN])).toBe(OPEN);
  expect(mostWanted([good])).toBe(good);
  expect(mostWanted([])).toBeUndefined();
});

it("workers stand in the order of their names, also of the numbers in them", () => {
  const named = ["t-10", "t-2", "t-2-r2", "t-1"].map((worker_id) => ({ ...OPEN, worker_id }));
  expect(inOrder(named).map(({ worker_id }) => worker_id)).toEqual(["t-1", "t-2", "t-2-r2", "t-10"]);
});

it("short names leave out what all begin with, at the end of a word", () => {
  expect(shortNames(["otto-agent-t-4214-0", "otto-agent-t-4214-1-r2"])).toEqual(["…0", "…1-r2"]);
  expect(shortNames(["build-10", "build-11"])).toEqual(["…10", "…11"]);
  expect(shortNames(["a-1", "a-2"])).toEqual(["a-1", "a-2"]);
  expect(shortNames(["one", "two"])).toEqual(["one", "two"]);
  expect(shortNames(["only-one-worker"])).toEqual(["only-one-worker"]);
  expect(shortNames([])).toEqual([]);
});

it("what all names begin with ends where they can be told apart", () => {
  const names = [0, 1, 2, 3].map((at) => `build-matrix-linux-x86_64-${at}`);
  expect(names.map((name) => name.slice(sharedLength(names)))).toEqual(["0", "1", "2", "3"]);
  expect(sharedLength(["a-1", "a-2"])).toBe(0);
  expect(sharedLength(["only-one-worker"])).toBe(0);
});

it("a task has failed when a worker has, even while others run", () => {
  expect(standingOfTask({ failed: 1, open: 2 })).toBe("failed");
  expect(standingOfTask({ failed: 0, open: 2 })).toBe("running");
  expect(standingOfTask({ failed: 0, open: 0 })).toBe("passed");
});

it("signals have names where they are known", () => {
  expect([9, 15, 64].map(signalName)).toEqual(["SIGKILL", "SIGTERM", "signal 64"]);
});
