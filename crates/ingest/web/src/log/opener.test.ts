import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Outline, WorkerState } from "../api";
import { Opener } from "./opener";
import type { Opening } from "./opening";
import { Rows } from "./rows";

const WORKER = { created_at: "2026-01-02T03:04:05Z" } as WorkerState;
const END: Opening = { to: "end", where: "third", cursor: null };

function setUp() {
  const log = {
    worker: null as WorkerState | null,
    running: true,
    failed: false,
    outline: null as Outline | null,
    firstFailure: null as number | null,
    rows: new Rows(100, [[51, 60]]),
  };
  const told: (Opening | "its end")[] = [];
  const opener = new Opener(log, {
    open: (opening) => {
      told.push(opening);
      opener.settle();
    },
    showEnd: () => told.push("its end"),
  });
  return { log, told, opener };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a log opens once, as soon as the worker is known", () => {
  const { log, told, opener } = setUp();
  opener.begin(null, null);
  expect(told).toEqual([]);
  expect(opener.isShown).toBe(false);
  log.worker = WORKER;
  opener.begin(null, null);
  opener.begin(null, 12);
  expect(told).toEqual([END]);
});

test("a failed log shows its end until it is known where it failed, and goes there then", () => {
  const { log, told, opener } = setUp();
  Object.assign(log, { worker: WORKER, running: false, failed: true });
  opener.begin(null, null);
  vi.advanceTimersByTime(149);
  opener.begin(null, null);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(["its end"]);
  expect([opener.isShown, opener.isSettled]).toEqual([true, false]);
  Object.assign(log, { outline: {}, firstFailure: 40 });
  opener.begin(null, null);
  expect(told.slice(1)).toEqual([{ to: 40, where: "third", cursor: 40 }]);
});

test("whoever goes elsewhere before stays there", () => {
  const { log, told, opener } = setUp();
  Object.assign(log, { worker: WORKER, running: false, failed: true });
  opener.begin(null, null);
  opener.settle();
  vi.advanceTimersByTime(1_000);
  Object.assign(log, { outline: {}, firstFailure: 40 });
  opener.begin(null, null);
  expect(told).toEqual([]);
});

test("a key leads once the worker is known, and one that is pressed later leads at once", () => {
  const { log, told, opener } = setUp();
  expect(opener.wishes("start")).toBe(true);
  opener.settle();
  expect(opener.isSettled).toBe(false);
  log.worker = WORKER;
  opener.begin(null, 12);
  expect(told).toEqual([{ to: "start", where: "third", cursor: null }]);
  expect(opener.wishes("end")).toBe(false);
});

test("that a named line is in a folded group is told once, when groups are known first", () => {
  const { log, opener } = setUp();
  opener.named(55);
  expect(opener.hidden()).toBeNull();
  log.outline = {} as Outline;
  expect(opener.hidden()).toBe(55);
  expect(opener.hidden()).toBeNull();
  opener.named(12);
  expect(opener.hidden()).toBeNull();
});

test("a named line is forgotten by who goes elsewhere meanwhile", () => {
  const { log, opener } = setUp();
  opener.named(55);
  opener.settle();
  log.outline = {} as Outline;
  expect(opener.hidden()).toBeNull();
});
