import { expect, test } from "vitest";
import { places, split } from "./paint";

test("what is looked for is found without regard to case", () => {
  expect(places("Error: an ERROR", { q: "error" })).toEqual([
    [0, 5],
    [10, 15],
  ]);
  expect(places("aaa", { q: "aa" })).toEqual([[0, 2]]);
  expect(places("text", { q: "" })).toEqual([]);
});

test("with regard to case where somebody wants that", () => {
  expect(places("Error: an error", { q: "Error", case: true })).toEqual([[0, 5]]);
  expect(places("Error: an error", { q: "E.*?o", case: true, regex: true })).toEqual([[0, 4]]);
});

test("a regular expression is found, and one that is none, or not known here, nowhere", () => {
  expect(places("12 of 345", { q: "\\d+", regex: true })).toEqual([
    [0, 2],
    [6, 9],
  ]);
  expect(places("a(b", { q: "a(b", regex: true })).toEqual([]);
});

test("where lower case is longer no place is guessed", () => {
  expect(places("\u0130x", { q: "x" })).toEqual([]);
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
