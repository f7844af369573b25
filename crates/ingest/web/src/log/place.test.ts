import { expect, it } from "vitest";
import { isSame, lineOf, type Place, placeOf, withPlace } from "./place";

const BEGUN = "2026-01-02T03:04:05Z";
const TOP: Place = { begun: BEGUN, top: 120, cursor: null };
const FOLLOWED: Place = { begun: BEGUN, top: "follow", cursor: 7 };

it("an entry that is new knows no place", () => {
  expect(placeOf(null, "one")).toBeNull();
  expect(placeOf({}, "one")).toBeNull();
});

it("an entry knows where the log of each worker was left", () => {
  const state = withPlace(withPlace(withPlace(null, "one", FOLLOWED), "two", FOLLOWED), "one", TOP);
  expect(placeOf(state, "one")).toEqual(TOP);
  expect(placeOf(state, "two")).toEqual(FOLLOWED);
  expect(placeOf(state, "three")).toBeNull();
  expect(placeOf(state, "toString")).toBeNull();
});

it("a place is another with another top or another line that keys start from", () => {
  expect(isSame(TOP, { ...TOP })).toBe(true);
  expect(isSame(TOP, { ...TOP, top: 121 })).toBe(false);
  expect(isSame(TOP, { ...TOP, cursor: 121 })).toBe(false);
  expect(isSame(TOP, { ...TOP, begun: "2026-01-02T03:04:06Z" })).toBe(false);
  expect(isSame(null, TOP)).toBe(false);
});

it("a log begins at the line that was at its top, or at its end", () => {
  expect(lineOf(TOP)).toBe(120);
  expect(lineOf(FOLLOWED)).toBeNull();
  expect(lineOf({ ...TOP, top: "end" })).toBeNull();
});
