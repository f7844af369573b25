import { expect, test } from "vitest";
import { marks, ofKind, PLACES } from "./marks";
import { Rows } from "./rows";

test("a mark stands where its line is among the rows", () => {
  expect(marks("hit", [[501, 501]], new Rows(1_000))).toEqual([{ share: 0.5, kind: "hit", sequence: 501 }]);
  expect(marks("hit", [[501, 501]], new Rows(1_000, [[1, 500]]))[0]?.share).toBe(0);
});

test("more matches than places are as many marks as places", () => {
  const rows = new Rows(1_000_000);
  const many = Array.from({ length: 100_000 }, (_, at): [number, number] => [at * 10 + 1, at * 10 + 1]);
  expect(marks("hit", many, rows)).toHaveLength(PLACES);
  expect(marks("hit", [[1, 1_000_000]], rows)).toHaveLength(PLACES);
});

test("marks of the server are told apart by kind", () => {
  expect(
    ofKind(
      [
        [4, "error"],
        [5, "warning"],
        [9, "error"],
      ],
      "error",
    ),
  ).toEqual([
    [4, 4],
    [9, 9],
  ]);
});
