import { expect, it } from "vitest";
import { Bookmark, lineOf, type Place, placeOf, withPlace } from "./place";

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

it("a place is kept where it is another: with another top, or another line that keys start from", () => {
  const kept: Place[] = [];
  const bookmark = new Bookmark(null, (place) => kept.push(place));
  const later = { ...TOP, begun: "2026-01-02T03:04:06Z" };
  const places = [TOP, { ...TOP, top: 121 }, { ...TOP, top: 121, cursor: 121 }, later];
  for (const place of places) for (let times = 0; times < 2; times += 1) bookmark.put({ ...place });
  expect(kept).toEqual(places);
  expect(bookmark.place).toEqual(later);
  new Bookmark(TOP, (place) => kept.push(place)).put({ ...TOP });
  expect(kept).toHaveLength(places.length);
});

it("a log begins at the line that was at its top, or at its end", () => {
  expect(lineOf(TOP)).toBe(120);
  expect(lineOf(FOLLOWED)).toBeNull();
  expect(lineOf({ ...TOP, top: "end" })).toBeNull();
});
