import { expect, it } from "vitest";
import { Sight } from "./sight";

it("a line is in sight once it is drawn, until others are", () => {
  const sight = new Sight();
  expect([sight.top, sight.last, sight.has(1)]).toEqual([1, 0, false]);
  sight.drawn([4, 5, 9]);
  expect([sight.top, sight.last]).toEqual([4, 9]);
  expect([4, 9, 6].map((line) => sight.has(line))).toEqual([true, true, false]);
  sight.drawn([]);
  expect([sight.top, sight.last, sight.has(4)]).toEqual([4, 0, false]);
});

it("a line that the next frame will show is in sight already", () => {
  const sight = new Sight();
  sight.drawn([1, 2]);
  sight.ahead(30);
  expect(sight.has(30)).toBe(true);
  sight.drawn([3, 4]);
  expect(sight.has(30)).toBe(false);
});
