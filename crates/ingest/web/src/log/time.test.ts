import { expect, test } from "vitest";
import { full, next, shown, span, TIMES } from "./time";

const moments = { time: "2026-03-01T14:03:07.042999Z", start: "2026-03-01T14:02:04Z", before: "2026-03-01T14:03:06Z" };

test("a time is shown in each way", () => {
  expect(TIMES.map((times) => shown(moments, times, "utc"))).toEqual(["", "14:03:07.042", "1:03.042", "+1.042"]);
  expect(full(moments.time, "utc")).toBe("2026-03-01 14:03:07.042 UTC");
  expect(full(moments.time, "local")).toMatch(/^2026-0[23]-\d\d \d\d:\d\d:07\.042 [+\u2212]\d\d:\d\d$/);
});

test("a clock that was set back is shown as it is", () => {
  expect(shown({ ...moments, before: "2026-03-01T14:03:09Z" }, "delta", "utc")).toBe("\u22121.958");
  expect(shown({ ...moments, start: "2026-03-01T14:03:08.042Z" }, "relative", "utc")).toBe("\u22121.000");
});

test("where no time is known none is shown", () => {
  expect(shown({ ...moments, before: null }, "delta", "utc")).toBe("");
  expect(shown({ ...moments, time: "" }, "absolute", "utc")).toBe("");
  expect(full("nonsense", "utc")).toBe("nonsense");
});

test.each([
  [0, "0.000"],
  [59_999, "59.999"],
  [60_000, "1:00.000"],
  [7_263_042, "2:01:03.042"],
])("%d ms is %s", (time, text) => expect(span(time)).toBe(text));

test("after the last comes the first", () => {
  expect(next(TIMES, "delta")).toBe("off");
  expect(next(TIMES, "off")).toBe("absolute");
});
