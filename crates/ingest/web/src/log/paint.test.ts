import { expect, test } from "vitest";
import { places, split } from "./paint";

test("what is looked for is found without regard to case", () => {
  expect(places("Error: an ERROR", "error")).toEqual([
    [0, 5],
    [10, 15],
  ]);
  expect(places("aaa", "aa")).toEqual([[0, 2]]);
  expect(places("text", "")).toEqual([]);
});

test("where lower case is longer no place is guessed", () => {
  expect(places("\u0130x", "x")).toEqual([]);
});

test("a match that goes over spans is marked in each", () => {
  const found: [number, number][] = [[2, 6]];
  expect(split("abcd", 0, found)).toEqual([
    { text: "ab", found: false },
    { text: "cd", found: true },
  ]);
  expect(split("efgh", 4, found)).toEqual([
    { text: "ef", found: true },
    { text: "gh", found: false },
  ]);
});
