import { expect, test } from "vitest";
import { textOf } from "./copy";
import { entryOf } from "./line";
import { between, cut, type Place } from "./stretch";

const place = (sequence: number, before: string | null, behind: string | null): Place => ({ sequence, before, behind });
const entries = ["one and", "two", "three or"].map((message, at) => entryOf({ sequence: at + 10, message }));

test("a stretch goes down the log, whichever of its ends was first", () => {
  const [up, down] = [place(10, "one ", "and"), place(12, "three", " or")];
  expect(between(up, down)).toEqual({ first: up, last: down });
  expect(between(down, up)).toEqual({ first: up, last: down });
  const [left, right] = [place(10, "o", "ne and"), place(10, "one", " and")];
  expect(between(right, left)).toEqual({ first: left, last: right });
  expect(between(place(10, "", null), place(10, null, ""))).not.toBeNull();
});

test("where both ends are the same place, nothing is selected", () => {
  expect(between(place(10, "one", " and"), place(10, "one", " and"))).toBeNull();
});

test("of its first and last line only what is in it is copied", () => {
  const stretch = { first: place(10, "one ", "and"), last: place(12, "three", " or") };
  expect(textOf(cut(entries, stretch))).toBe("and\ntwo\nthree\n");
});

test("within one line it is what is between the two places", () => {
  const stretch = { first: place(10, "o", "ne and"), last: place(10, "one", " and") };
  expect(textOf(cut(entries.slice(0, 1), stretch))).toBe("ne\n");
});

test("from edge to edge lines are whole, as the server has them", () => {
  const stretch = { first: place(10, "", null), last: place(12, null, "") };
  expect(cut(entries, stretch)).toEqual(entries);
});
