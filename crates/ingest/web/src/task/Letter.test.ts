import { expect, it } from "vitest";
import { letterOf } from "./Letter";

it("letters go on after Z, and no two workers have the same", () => {
  expect([0, 25, 26, 27, 51, 52, 701, 702].map(letterOf)).toEqual(["A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
  expect(new Set(Array.from({ length: 2000 }, (_, at) => letterOf(at))).size).toBe(2000);
});
