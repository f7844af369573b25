import { expect, it } from "vitest";
import { Choice } from "./choice";

it("a line that is chosen is the one that keys start from", () => {
  const choice = new Choice(null);
  expect(choice.asked).toEqual([]);
  expect(choice.take(7, false)).toEqual([7, 7]);
  expect(choice.cursor).toBe(7);
  expect(choice.asked).toEqual([7, 7]);
});

it("a range grows and shrinks at the end that moves, and turns about the one that stays", () => {
  const choice = new Choice(null);
  choice.take(7, false);
  expect(choice.take(8, true)).toEqual([7, 8]);
  expect(choice.take(9, true)).toEqual([7, 9]);
  expect(choice.take(8, true)).toEqual([7, 8]);
  expect(choice.take(5, true)).toEqual([5, 7]);
  expect(choice.take(4, true)).toEqual([4, 7]);
  expect(choice.take(9, true)).toEqual([7, 9]);
});

it("the range of a link goes on from its last line, while keys start from its first", () => {
  const choice = new Choice([120, 140]);
  expect(choice.cursor).toBe(120);
  expect(choice.end).toBe(140);
  expect(choice.take(145, true)).toEqual([120, 145]);
  choice.name([7, 9]);
  expect(choice.take(5, true)).toEqual([5, 7]);
  choice.name(null);
  expect(choice.take(3, true)).toEqual([3, 3]);
});

it("a range goes on from its end, and from its last line where keys have gone elsewhere", () => {
  const choice = new Choice(null);
  expect(choice.end).toBeNull();
  choice.take(7, false);
  choice.take(5, true);
  expect(choice.end).toBe(5);
  choice.take(9, true);
  expect(choice.end).toBe(9);
  choice.cursor = 4_000;
  expect(choice.end).toBe(9);
  choice.cursor = null;
  expect(choice.end).toBe(9);
  expect(choice.take(10, true)).toEqual([7, 10]);
});

it("a range is extended from nowhere to the line itself", () => {
  expect(new Choice(null).take(3, true)).toEqual([3, 3]);
  expect(new Choice(null).take(3, true, 7)).toEqual([3, 7]);
  expect(new Choice([1, 2]).take(3, true, 7)).toEqual([1, 3]);
});

it("a press that is to extend does so once", () => {
  const choice = new Choice([2, 2]);
  choice.extending.set(true);
  expect(choice.take(6, false)).toEqual([2, 6]);
  expect(choice.extending.value).toBe(false);
  expect(choice.take(9, false)).toEqual([9, 9]);
});
