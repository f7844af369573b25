import { expect, test } from "vitest";
import { Following } from "./following";

test("what comes after a person has gone elsewhere is new until the end is seen", () => {
  const following = new Following();
  following.opened(100);
  following.turn(true, 100);
  following.drawn(100);
  expect([following.isOn, following.fresh(120)]).toEqual([true, 0]);
  following.turn(false, 120);
  expect(following.fresh(150)).toBe(50);
  following.turn(false, 150);
  expect(following.fresh(150)).toBe(50);
  following.sawEnd(150);
  expect(following.fresh(151)).toBe(1);
});

test("of a log that opens elsewhere than at its end nothing is new at first", () => {
  const following = new Following();
  following.opened(100);
  following.turn(false, 100);
  expect(following.fresh(100)).toBe(0);
  expect(following.fresh(103)).toBe(3);
});
