import { expect, it } from "vitest";
import type { WorkerState } from "../api";
import {
  carried,
  chosenHow,
  chosenQuery,
  isByItself,
  lastRead,
  MOST_BESIDE,
  namingQuery,
  newcomer,
  nextFailed,
  nextWay,
  queryOf,
  shownOf,
  toggled,
  withLog,
} from "./way";

const worker = (worker_id: string, exit_code: number | null = 0) =>
  ({ worker_id, state: exit_code === null ? "open" : "closed", complete: true, exit_code, signal: 0 }) as WorkerState;
const workers = ["a", "b", "c", "d", "e"].map((name) => worker(name, name === "c" ? 1 : 0));
const names = (shown: readonly WorkerState[]) => shown.map(({ worker_id }) => worker_id).join("");
const shown = (query: string) => shownOf(new URLSearchParams(query), workers);

it("an address that names nobody shows the one that failed, and beside it another", () => {
  expect(shown("")).toMatchObject({ way: "tabs" });
  expect(names(shown("").workers)).toBe("c");
  expect(names(shown("show=side").workers)).toBe("ca");
  expect(shown("show=odd").way).toBe("tabs");
});

it("an address shows the workers that it names and that there are", () => {
  expect(names(shown("w=b").workers)).toBe("b");
  expect(names(shown("w=gone").workers)).toBe("c");
  expect(names(shown("show=side&w=e&w=b&w=gone").workers)).toBe("eb");
  expect(names(shown("show=side&w=a&w=b&w=c&w=d&w=e").workers)).toHaveLength(MOST_BESIDE);
});

it("whoever was shown by himself stays when another is wanted more, unless the address names one", () => {
  const kept = (query: string, names: string[]) => shownOf(new URLSearchParams(query), workers, names).workers;
  expect(names(kept("", []))).toBe("c");
  expect(names(kept("", ["a"]))).toBe("a");
  expect(names(kept("", ["gone"]))).toBe("c");
  expect(names(kept("w=b", ["a"]))).toBe("b");
  expect(names(kept("show=side", ["a", "d"]))).toBe("ad");
});

it("the address of whom is shown by himself can name him, and keeps what it says to the log", () => {
  const side = shownOf(new URLSearchParams("show=side&line=3"), workers, ["a", "d"]);
  expect(isByItself(side)).toBe(true);
  expect(namingQuery(side).toString()).toBe("show=side&w=a&w=d&line=3");
  expect([isByItself(shown("w=b")), isByItself(shown("w=gone")), isByItself(shown(""))]).toEqual([false, true, true]);
});

it("by time nobody is shown, and the address names those to come back to", () => {
  const byTime = shown("show=time&w=e&w=b&w=gone");
  expect(byTime.workers).toEqual([]);
  expect(names(lastRead(byTime, workers))).toBe("eb");
  expect(lastRead(shown("show=time"), workers)).toEqual([]);
});

it("of those beside each other the one that is read is the first to be shown elsewhere", () => {
  const beside = shown("show=side&w=e&w=b&w=a");
  expect(names(lastRead(beside, workers, "b"))).toBe("bea");
  expect(names(lastRead(beside, workers, "gone"))).toBe("eba");
  expect(names(carried("tabs", workers, lastRead(beside, workers, "a")))).toBe("a");
});

it("what the address says to the log of a worker who is not there is said to nobody else's", () => {
  expect(shown("w=gone&line=5").log.toString()).toBe("");
  expect(shown("w=gone&w=b&line=5").log.toString()).toBe("line=5");
  expect(shown("line=5").log.toString()).toBe("line=5");
});

it("the rest of the address is the log's, and both are put together again", () => {
  const { log } = shown("w=b&line=3&q=x");
  expect(log.toString()).toBe("line=3&q=x");
  const line = new URLSearchParams("line=9");
  expect(withLog(new URLSearchParams("w=b&line=3"), "b", line).toString()).toBe("w=b&line=9");
  // A line without the worker would be of whoever is shown elsewhere, or later.
  expect(withLog(new URLSearchParams(), "b", line).toString()).toBe("w=b&line=9");
  expect(withLog(new URLSearchParams("w=gone"), "b", line).toString()).toBe("w=b&line=9");
  expect(withLog(new URLSearchParams("line=3"), "b", new URLSearchParams()).toString()).toBe("");
  expect(queryOf("side", ["a", "b"]).toString()).toBe("show=side&w=a&w=b");
  expect(queryOf("tabs", ["a"]).toString()).toBe("w=a");
});

it("a worker is put behind the others, and the one that was put in first makes room", () => {
  const [a, b, c, d, e] = workers as [WorkerState, WorkerState, WorkerState, WorkerState, WorkerState];
  expect(names(toggled([a, c], b))).toBe("acb");
  expect(names(toggled([d, b, c, a], e))).toBe("bcae");
  expect(names(toggled([a, b], a))).toBe("b");
  expect(names(toggled([a], a))).toBe("a");
});

it("the next failed worker is behind those that are shown, or the first again", () => {
  const failing = ["a", "b", "c", "d", "e"].map((name) => worker(name, "bd".includes(name) ? 1 : 0));
  const [a, b, c, d, e] = failing as [WorkerState, WorkerState, WorkerState, WorkerState, WorkerState];
  expect(nextFailed(failing, [])).toBe(b);
  expect(nextFailed(failing, [a])).toBe(b);
  expect(nextFailed(failing, [b])).toBe(d);
  expect(nextFailed(failing, [e])).toBe(b);
  expect(nextFailed(failing, [c, d])).toBe(b);
  expect(nextFailed(failing, [b, d])).toBeUndefined();
  expect(nextFailed([a, c], [a])).toBeUndefined();
});

it("all failed workers come side by side, one after the other, and then again", () => {
  const failing = ["1", "2", "3", "4", "5", "6"].map((name) => worker(name, 1));
  const rounds = ["12", "123", "1234", "2345", "3456", "4561", "5612", "6123", "1234", "2345"];
  let query = queryOf("side", ["1", "2"]);
  for (const expected of rounds) {
    const beside = shownOf(query, failing);
    expect(names(beside.workers)).toBe(expected);
    query = chosenQuery(beside, nextFailed(failing, beside.workers) ?? expect.fail("nobody is next"));
  }
});

it("a worker is chosen alone, or side by side with the others", () => {
  const [a, b] = workers as [WorkerState, WorkerState];
  const log = new URLSearchParams("line=3");
  expect(chosenQuery({ way: "time", workers: [], named: [], log }, b).toString()).toBe("w=b");
  expect(chosenQuery({ way: "side", workers: [b], named: [], log }, a).toString()).toBe("show=side&w=b&w=a");
});

it("Back leads from a worker that was chosen by time to all of them, and not from one worker to another", () => {
  expect(chosenHow(shown("show=time"))).toBe("push");
  expect(chosenHow(shown("w=a"))).toBe("replace");
  expect(chosenHow(shown("show=side&w=a"))).toBe("replace");
});

it("who has come beside others is told, and who went is not", () => {
  expect(newcomer(["a", "b"], ["a", "b", "c"])).toBe("c");
  expect(newcomer(["a", "b", "c", "d"], ["b", "c", "d", "e"])).toBe("e");
  expect(newcomer(["a", "b", "c"], ["a", "b"])).toBeUndefined();
  expect(newcomer(["a"], ["a"])).toBeUndefined();
});

it("another way shows the same worker, and side by side the next that failed with it, or somebody", () => {
  const [a, b, c] = workers as [WorkerState, WorkerState, WorkerState];
  expect(names(carried("side", workers, [a]))).toBe("ac");
  expect(names(carried("side", workers, [c]))).toBe("ca");
  expect(names(carried("side", [b], [b]))).toBe("b");
  expect(names(carried("tabs", workers, [b, c]))).toBe("b");
  expect(names(carried("time", workers, [b]))).toBe("b");
});

it("ways come round again", () => {
  expect(nextWay("tabs", 1)).toBe("side");
  expect(nextWay("time", 1)).toBe("tabs");
  expect(nextWay("tabs", -1)).toBe("time");
});
