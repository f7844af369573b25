import { describe, expect, it } from "vitest";
import { age, duration, grouped } from "./format";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

describe("how long ago", () => {
  it.each([
    [0, "now", "지금"],
    [59, "59s ago", "59초 전"],
    [60, "1m ago", "1분 전"],
    [3599, "59m ago", "59분 전"],
    [3600, "1h ago", "1시간 전"],
    [86_400 * 3, "3d ago", "3일 전"],
  ])("%i s", (seconds, english, korean) => {
    expect(age(ago(seconds), NOW, "en")).toBe(english);
    expect(age(ago(seconds), NOW, "ko")).toBe(korean);
  });

  it("makes no future of a clock that is ahead", () => {
    expect(age(ago(-90), NOW, "en")).toBe("now");
  });
});

describe("a length of time", () => {
  it.each([
    [-5, "0 ms", "0ms"],
    [340, "340 ms", "340ms"],
    [1000, "1.0 s", "1.0초"],
    [59_940, "59.9 s", "59.9초"],
    [59_960, "1 m 00 s", "1분 00초"],
    [245_000, "4 m 05 s", "4분 05초"],
    [3_600_000, "1 h 00 m", "1시간 00분"],
    [7_380_000, "2 h 03 m", "2시간 03분"],
    [86_400_000 * 3 + 3_600_000 * 4, "3 d 04 h", "3일 04시간"],
  ])("%i ms", (milliseconds, english, korean) => {
    expect(duration(milliseconds, "en")).toBe(english);
    expect(duration(milliseconds, "ko")).toBe(korean);
  });
});

it.each([0, 7, 999, 1_000, 12_345, 1_234_567, 1_000_000_000_000])("%i is written as the browser would", (value) => {
  expect(grouped(value)).toBe(value.toLocaleString("en"));
  expect(grouped(value)).toBe(value.toLocaleString("ko"));
});
