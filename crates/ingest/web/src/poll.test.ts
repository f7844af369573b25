import { afterEach, describe, expect, it, vi } from "vitest";
import { onAnswers } from "./answers";
import { ApiError } from "./api";
import { heard, isBack, isOutOfReach, NEVER_ASKED, poll, waitAfter } from "./poll";

describe("the wait before the next question", () => {
  it("is two seconds while there are answers", () => {
    expect(waitAfter(0, null, 0.9)).toBe(2_000);
  });

  it("grows with each failure, up to a bound, and is never the same for all", () => {
    const waits = [1, 2, 3, 4, 5, 6, 60].map((failures) => waitAfter(failures, null, 0.5));
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(waitAfter(3, null, 0)).toBe(6_000);
    expect(waitAfter(3, null, 1)).toBe(10_000);
  });

  it("is at least what the server asks for", () => {
    expect(waitAfter(1, 60_000, 0.5)).toBe(60_000);
    expect(waitAfter(5, 1_000, 0.5)).toBe(30_000);
  });
});

describe("between two questions", () => {
  const unreachable = new ApiError(0, "unreachable", "");
  const busy = new ApiError(503, "too_many_readers", "", 1_000);
  const notFound = new ApiError(404, "not_found", "");

  it("the latest tag is kept, also over failures", () => {
    const answered = heard(NEVER_ASKED, { value: 1, etag: '"a"' });
    expect(heard(answered, "unchanged").etag).toBe('"a"');
    expect(heard(heard(answered, unreachable), busy).etag).toBe('"a"');
    expect(heard(answered, { value: 2, etag: undefined }).etag).toBeUndefined();
  });

  it("who could not reach the server asks when another does, and who was told to wait does not", () => {
    expect(isOutOfReach(heard(NEVER_ASKED, unreachable))).toBe(true);
    expect(isOutOfReach(heard(NEVER_ASKED, busy))).toBe(false);
    expect(isOutOfReach(heard(NEVER_ASKED, "unchanged"))).toBe(false);
  });

  it("others hear of the first answer after a failure alone", () => {
    const failed = heard(NEVER_ASKED, unreachable);
    const answer = { value: 1, etag: undefined };
    expect(isBack(failed, answer)).toBe(true);
    expect(isBack(failed, "unchanged")).toBe(true);
    expect(isBack(failed, notFound)).toBe(false);
    expect(isBack(NEVER_ASKED, answer)).toBe(false);
    expect(isBack(heard(failed, answer), "unchanged")).toBe(false);
  });

  it("failures add up until there is an answer, and what is not known is no failure that adds up", () => {
    const twice = heard(heard(NEVER_ASKED, unreachable), busy);
    expect(twice).toMatchObject({ failures: 2, retryAfterMs: 1_000 });
    expect(heard(twice, "unchanged")).toMatchObject({ failures: 0, retryAfterMs: null });
    expect(heard(heard(NEVER_ASKED, notFound), notFound).failures).toBe(1);
  });
});

describe("whoever asks again and again", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("tells others that the server answers again, also where it asks no more then", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
    vi.stubGlobal("window", new EventTarget());
    const woken = vi.fn();
    const leave = onAnswers(woken);
    const ask = vi
      .fn()
      .mockResolvedValueOnce({ value: 1 })
      .mockRejectedValueOnce(new ApiError(0, "unreachable", ""));
    ask.mockResolvedValue({ value: 2 });
    const onAnswer = vi.fn((value: number) => value === 2);
    const ended = poll(ask, onAnswer, vi.fn(), new AbortController().signal);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(woken).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2_500);
    await ended;
    expect(onAnswer.mock.calls).toEqual([[1], [2]]);
    expect(woken).toHaveBeenCalledTimes(1);
    leave();
  });
});
