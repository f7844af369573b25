import { expect, test } from "vitest";
import { type Group, Groups, took } from "./groups";

const group = (first: number, last: number | null, depth = 0, collapsed = false): Group => ({
  first,
  last,
  title: `group ${first}`,
  depth,
  collapsed,
  started_at: "2026-01-01T00:00:00Z",
  ended_at: last === null ? null : "2026-01-01T00:00:02.5Z",
});

// 2–20 with 5–8 and 10–null… inside; 30–40.
const some = () => new Groups([group(2, 20), group(5, 8, 1, true), group(10, 15, 1), group(30, 40)]);

/** No line is hidden by a filter. */
const all = () => true;

test("a line is in the innermost group around it", () => {
  const groups = some();
  expect([1, 2, 4, 6, 9, 12, 20, 21, 30, 41].map((line) => groups.containing(line)?.first)).toEqual([
    undefined,
    2,
    2,
    5,
    2,
    10,
    2,
    undefined,
    30,
    undefined,
  ]);
  expect([1, 2, 4, 5, 6].map((line) => groups.depthOf(line))).toEqual([0, 0, 1, 1, 2]);
});

test("a folded group hides all but its first line", () => {
  const groups = some();
  expect(groups.hidden(all)).toEqual([[6, 8]]);
  groups.fold(groups.startingAt(30) as Group, true);
  expect(groups.hidden(all)).toEqual([
    [6, 8],
    [31, 40],
  ]);
});

test("what is still written to is hidden only where a person wants it, and then to the end", () => {
  const groups = new Groups([group(3, null, 0, true)]);
  expect(groups.hidden(all)).toEqual([]);
  groups.foldAll(true);
  expect(groups.hidden(all)).toEqual([[4, Number.POSITIVE_INFINITY]]);
});

test("a line is revealed through all the groups around it", () => {
  const groups = some();
  groups.foldAll(true);
  expect(groups.reveal(6)).toBe(true);
  expect(groups.hidden(all)).toEqual([
    [11, 15],
    [31, 40],
  ]);
  expect(groups.reveal(6)).toBe(false);
});

test("what a person folded stays so when more is known", () => {
  const groups = new Groups([group(2, null, 0, true)]);
  groups.fold(groups.startingAt(2) as Group, false);
  expect(groups.renewed([group(2, 9, 0, true), group(12, 14, 0, true)]).hidden(all)).toEqual([[13, 14]]);
});

test("the next and the previous group are found from any line", () => {
  const groups = some();
  expect([groups.next(0)?.first, groups.next(2)?.first, groups.next(30)?.first]).toEqual([2, 5, undefined]);
  expect([groups.previous(2)?.first, groups.previous(31)?.first]).toEqual([undefined, 30]);
});

test("a group took from its start to its end", () => {
  expect(took(group(1, 2))).toBe(2_500);
  expect(took(group(1, null))).toBeNull();
});

test("a million groups are arranged without a stall", () => {
  const many = Array.from({ length: 1_000_000 }, (_, at) => group(at * 3 + 1, at * 3 + 3, 0, true));
  const began = performance.now();
  const groups = new Groups(many);
  expect(groups.hidden(all)).toHaveLength(1_000_000);
  expect(groups.containing(2_999_999)?.first).toBe(2_999_998);
  expect(performance.now() - began).toBeLessThan(5_000);
});

test("a group that is told again as it was is the same, and so are those that a person folded", () => {
  const before = some();
  before.fold(before.startingAt(2) as Group, true);
  const after = before.renewed([group(1, 1), group(2, 20), group(5, 9, 1, true), group(30, 40), group(50, null)]);
  expect(after.startingAt(2)).toBe(before.startingAt(2));
  expect(after.startingAt(30)).toBe(before.startingAt(30));
  expect(after.startingAt(5)).toMatchObject({ last: 9 });
  expect(after.isFolded(after.startingAt(2) as Group)).toBe(true);
});

test("a folded group whose opening line is not shown hides nothing: nobody could unfold it", () => {
  const groups = new Groups([group(2, 9, 0, true), group(12, 14, 0, true)]);
  expect(groups.hidden((opening) => opening !== 2)).toEqual([[13, 14]]);
});

test("what is seen of a folded group whose opening line is not shown unfolds nothing", () => {
  const groups = new Groups([group(2, 9, 0, true), group(12, 14, 0, true)]);
  expect(groups.reveal(5, (opening) => opening !== 2)).toBe(false);
  expect(groups.hidden(all)).toEqual([
    [3, 9],
    [13, 14],
  ]);
});
