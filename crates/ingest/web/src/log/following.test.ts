import { expect, test } from "vitest";
import { Following } from "./following";
import { Rows } from "./rows";

test("what comes after a person has gone elsewhere is new until the end is seen", () => {
  const following = new Following();
  following.opened(100);
  following.turn(true, 100);
  following.drawn(100);
  expect([following.isOn, following.fresh(new Rows(120))]).toEqual([true, 0]);
  following.turn(false, 120);
  expect(following.fresh(new Rows(150))).toBe(50);
  following.turn(false, 150);
  expect(following.fresh(new Rows(150))).toBe(50);
  following.sawEnd(150);
  expect(following.fresh(new Rows(151))).toBe(1);
});

test("of a log that opens elsewhere than at its end nothing is new at first", () => {
  const following = new Following();
  following.opened(100);
  following.turn(false, 100);
  expect(following.fresh(new Rows(100))).toBe(0);
  expect(following.fresh(new Rows(103))).toBe(3);
});

test("what is not shown is not new", () => {
  const following = new Following();
  following.opened(100);
  following.turn(false, 100);
  expect(following.fresh(new Rows(120, [[1, 105]]))).toBe(15);
  expect(following.fresh(new Rows(120, [[90, 120]]))).toBe(0);
  expect(following.fresh(new Rows(120, [[95, 104]]))).toBe(16);
});
