import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Entry } from "./entry";

/** What a browser has been told, and what it says. */
function browser() {
  const told: string[] = [];
  const entries = [{ state: null as unknown, address: "#/" }];
  const last = () => entries[entries.length - 1] ?? { state: null, address: "" };
  return {
    told,
    refuses: false,
    get state() {
      return last().state;
    },
    get address() {
      return last().address;
    },
    replaceState(state: unknown, _: string, address?: string | URL | null) {
      if (this.refuses) throw new DOMException("too many", "SecurityError");
      told.push(`replace ${address ?? "nothing"}`);
      Object.assign(last(), { state, address: address ?? last().address });
    },
    pushState(state: unknown, _: string, address?: string | URL | null) {
      if (this.refuses) throw new DOMException("too many", "SecurityError");
      told.push(`push ${address}`);
      entries.push({ state, address: String(address) });
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("an address is written at once, and of very many those that the browser takes, the last of them in any case", () => {
  const history = browser();
  const entry = new Entry(history);
  for (let line = 1; line <= 1_000; line += 1) {
    entry.readdress(`#L${line}`);
    if (line <= 40) expect(history.address).toBe(`#L${line}`);
    vi.advanceTimersByTime(30);
  }
  expect(history.told.length).toBeGreaterThan(80);
  expect(history.told.length).toBeLessThan(100);
  vi.advanceTimersByTime(1_000);
  expect(history.address).toBe("#L1000");
  expect(entry.address).toBeNull();
});

it("what is kept is known at once and written when it rests, and another address keeps it", () => {
  const history = browser();
  const entry = new Entry(history);
  entry.keep("here");
  expect([entry.state, history.state]).toEqual(["here", null]);
  entry.readdress("#L7");
  expect([history.state, history.address]).toEqual(["here", "#L7"]);
  for (let at = 0; at < 20; at += 1) {
    entry.keep(at);
    vi.advanceTimersByTime(100);
  }
  expect(history.told).toEqual(["replace #L7"]);
  vi.advanceTimersByTime(1_000);
  expect([history.told.length, history.state, history.address]).toEqual([2, 19, "#L7"]);
});

it("what is pending is written before another entry begins, and never with an entry that it is not of", () => {
  const history = browser();
  const entry = new Entry(history);
  entry.keep("here");
  entry.push("#/tasks/one");
  expect(history.told).toEqual(["replace nothing", "push #/tasks/one"]);
  expect(entry.state).toBeNull();
  entry.keep("there");
  entry.left();
  vi.advanceTimersByTime(1_000);
  expect(history.told.length).toBe(2);
});

it("an entry may begin with something kept, also where the browser takes it only later", () => {
  const history = browser();
  const entry = new Entry(history);
  entry.push("#/tasks/one", "there");
  expect([entry.state, history.state]).toEqual(["there", "there"]);
  history.refuses = true;
  entry.push("#/tasks/two", "here");
  history.refuses = false;
  vi.advanceTimersByTime(1_000);
  expect([history.address, history.state]).toEqual(["#/tasks/two", "here"]);
});

it("what a browser does not take for now is written later", () => {
  const history = browser();
  const entry = new Entry(history);
  history.refuses = true;
  entry.readdress("#L7");
  vi.advanceTimersByTime(2_000);
  expect([entry.address, history.address]).toEqual(["#L7", "#/"]);
  history.refuses = false;
  vi.advanceTimersByTime(1_000);
  expect([entry.address, history.address]).toEqual([null, "#L7"]);
});

it("where a browser takes nothing for now, the entry that was to begin is the one that is written in the end", () => {
  const history = browser();
  const entry = new Entry(history);
  history.refuses = true;
  entry.readdress("#L7");
  entry.push("#/tasks/one");
  expect([entry.address, entry.state]).toEqual(["#/tasks/one", null]);
  history.refuses = false;
  vi.advanceTimersByTime(1_000);
  expect([history.address, history.state]).toEqual(["#/tasks/one", null]);
});

it("nothing of an entry is written over the next, also where only that was taken", () => {
  const history = browser();
  const entry = new Entry(history);
  history.refuses = true;
  entry.readdress("#L7");
  const push = history.pushState.bind({ ...history, refuses: false });
  history.pushState = push;
  entry.push("#/tasks/one");
  history.refuses = false;
  vi.advanceTimersByTime(1_000);
  expect(history.address).toBe("#/tasks/one");
});

it("entries that begin count as well towards what the browser takes", () => {
  const history = browser();
  const entry = new Entry(history);
  for (let step = 1; step <= 60; step += 1) entry.push(`#/tasks/${step}`);
  entry.readdress("#L1");
  expect(entry.address).toBe("#L1");
  vi.advanceTimersByTime(1_000);
  expect([entry.address, history.address]).toEqual([null, "#L1"]);
});
