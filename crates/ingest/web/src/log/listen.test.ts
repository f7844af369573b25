import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listen, SILENT_MS } from "./listen";

class Source extends EventTarget {
  static readonly CLOSED = 2;
  readyState = 1;

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function listening() {
  const events = listen("/tail");
  const failed = vi.fn(() => events.close());
  events.addEventListener("error", failed);
  return { events, failed };
}

test("a connection on which not even a ping comes is at fault, once", () => {
  const { failed } = listening();
  vi.advanceTimersByTime(SILENT_MS - 1);
  expect(failed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10 * SILENT_MS);
  expect(failed).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

test.each(["open", "message", "ping", "worker"])("one on which there is %s now and then is not", (type) => {
  const { events, failed } = listening();
  for (let round = 0; round < 20; round += 1) {
    vi.advanceTimersByTime(15_000);
    events.dispatchEvent(new Event(type));
  }
  expect(failed).not.toHaveBeenCalled();
  events.close();
  vi.advanceTimersByTime(SILENT_MS);
  expect(vi.getTimerCount()).toBe(0);
});
