import { expect, test } from "vitest";
import { Choice } from "./choice";
import { Groups } from "./groups";
import { Rows } from "./rows";
import { Sight } from "./sight";
import { Steps } from "./steps";

const group = (first: number, last: number) => {
  return { first, last, title: "", depth: 0, collapsed: false, started_at: "", ended_at: null };
};

/** A log of 100 lines without 51 to 60, of which 20 lines are seen. */
function steps(cursor: number | null, range: [number, number] | null = null, top = 20) {
  const log = {
    rows: new Rows(100, [[51, 60]]),
    groups: new Groups([group(10, 19), group(20, 80)]),
    failures: [20, 30],
  };
  const choice = new Choice(range);
  choice.cursor = cursor;
  const sight = new Sight();
  sight.drawn(Array.from({ length: 20 }, (_, at) => top + at));
  return new Steps(log, choice, sight);
}

test("keys start from the line that one went to, and from the first that is seen once that one is not", () => {
  expect(steps(25).here).toBe(25);
  expect(steps(7).here).toBe(20);
  expect(steps(null).neighbour(1, false)).toBe(20);
});

test("the next line is that of the next row, and there is none before the first or behind the last", () => {
  expect(steps(25).neighbour(1, false)).toBe(26);
  expect(steps(25).neighbour(26, false)).toBe(61);
  expect(steps(25).neighbour(-90, false)).toBe(1);
  expect(steps(25).neighbour(90, false)).toBe(100);
});

test("a range goes on from its end, wherever that is", () => {
  expect(steps(25, [25, 90]).neighbour(-1, true)).toBe(89);
  expect(steps(90, [25, 90]).neighbour(1, true)).toBe(91);
});

test("what begins at the top of the window is the next one until it is chosen", () => {
  expect(steps(null).group(true)).toBe(20);
  expect(steps(20).group(true)).toBeNull();
  expect(steps(null).failure()).toBe(20);
  expect(steps(20).failure()).toBe(30);
  expect(steps(30).failure()).toBeNull();
});

test("the group before is one that begins before the line", () => {
  expect(steps(25).group(false)).toBe(20);
  expect(steps(null).group(false)).toBe(10);
});

test("where the end is seen and no line of it was gone to, steps up start from there", () => {
  expect(steps(null, null, 81).neighbour(-1, false)).toBe(100);
  expect(steps(null, null, 81).neighbour(1, false)).toBe(81);
  expect(steps(null, null, 80).neighbour(-1, false)).toBe(80);
  expect(steps(95, null, 81).neighbour(-1, false)).toBe(94);
  expect([steps(null, null, 81).behind, steps(null, null, 80).behind]).toEqual([101, 80]);
});

test("behind the end is what is hidden there as well", () => {
  const log = { rows: new Rows(100, [[91, 100]]), groups: new Groups([group(90, 100)]), failures: [] };
  const sight = new Sight();
  sight.drawn([88, 89, 90]);
  const end = new Steps(log, new Choice(null), sight);
  expect(end.behind).toBe(101);
  expect(end.group(false)).toBe(90);
});

test("in a log that is seen whole, steps up start where the person asked to be last", () => {
  const log = { rows: new Rows(3), groups: new Groups(), failures: [] };
  const sight = new Sight();
  sight.drawn([1, 2, 3]);
  const whole = new Steps(log, new Choice(null), sight);
  expect([whole.neighbour(-1, false), whole.neighbour(1, false)]).toEqual([3, 1]);
  whole.lead = "start";
  expect([whole.neighbour(-1, false), whole.behind, whole.before]).toEqual([1, 1, 0]);
});
