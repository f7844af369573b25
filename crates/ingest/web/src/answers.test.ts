import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { answers, later, onAnswers } from "./answers";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("who waits hears of the answer, and who waits no more does not", () => {
  const [one, other] = [vi.fn(), vi.fn()];
  const leave = onAnswers(one);
  onAnswers(other);
  answers();
  leave();
  answers();
  expect(one).toHaveBeenCalledTimes(1);
  expect(other).toHaveBeenCalledTimes(2);
});

it("a wait ends once: by itself, by an answer where that counts, or not at all", () => {
  const [late, woken] = [vi.fn(), vi.fn()];
  later(1_000, late, woken);
  answers();
  answers();
  vi.advanceTimersByTime(1_000);
  expect([late, woken].map(({ mock }) => mock.calls.length)).toEqual([0, 1]);
  later(1_000, late, null);
  answers();
  expect(late).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  const leave = later(1_000, late, woken);
  leave();
  answers();
  vi.advanceTimersByTime(1_000);
  expect([late, woken].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
});
