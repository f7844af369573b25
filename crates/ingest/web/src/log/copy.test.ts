import { expect, test } from "vitest";
import { extended, formatRange, parseRange, textOf } from "./copy";
import { entryOf } from "./line";

test.each([
  ["L120", [120, 120]],
  ["#L120-L140", [120, 140]],
  ["L140-120", [120, 140]],
])("%s is a range", (text, range) => expect(parseRange(text)).toEqual(range));

test.each(["", "L0", "L", "120", "L1-", "Lx", "L1-L2-L3", "L99999999999999999999"])("%j is none", (text) =>
  expect(parseRange(text)).toBeNull(),
);

test("a range is written as it is read", () => {
  expect(formatRange([7, 7])).toBe("L7");
  expect(parseRange(formatRange([7, 9]))).toEqual([7, 9]);
  expect(extended(9, 7)).toEqual([7, 9]);
});

test("copied text is what people see, without numbers, and says what is missing", () => {
  const entries = [
    { sequence: 1, message: "\x1b[31mred\x1b[0m" },
    { sequence: 2, message: "first half, ", flags: 1 },
    { sequence: 3, message: "second half" },
    { sequence: 4, gap: { last_sequence: 9, reason: "buffer_full" } },
    { sequence: 10, message: "10%\r100%" },
  ];
  expect(textOf(entries.map((entry) => entryOf(entry)))).toBe(
    "red\nfirst half, second half\n[otto: lines 4-9 are missing: buffer_full]\n100%\n",
  );
});
