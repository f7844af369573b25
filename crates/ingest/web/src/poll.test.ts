import { describe, expect, it } from "vitest";
import { waitAfter } from "./poll";

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
