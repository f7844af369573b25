import { expect, test } from "vitest";
import { beginning, MAX_MARKS, pieces } from "./text";

test("what deceives the eye becomes a mark that says what it is", () => {
  expect(pieces("a\u202eb\u0000\tc\u007f")).toEqual([
    { text: "a", control: null },
    { text: "[U+202E]", control: "U+202E RIGHT-TO-LEFT OVERRIDE" },
    { text: "b", control: null },
    { text: "^@", control: "U+0000" },
    { text: "\tc", control: null },
    { text: "^?", control: "U+007F" },
  ]);
});

test.each(["plain", "한국어 텍스트", "שלום", "👩\u200d🚒", "a\tb"])("%j is left as it is", (text) =>
  expect(pieces(text)).toEqual([{ text, control: null }]),
);

test.each(["\u2066", "\u200f", "\u2028", "\ufeff", "\u{e0041}", "\u009b", "\u00ad"])(
  "%j is not left as it is",
  (text) => expect(pieces(text)[0]?.control).toMatch(/^U\+/),
);

test("very many marks are a bounded number of pieces", () => {
  const found = pieces("\u0001x".repeat(100_000));
  expect(found.length).toBeLessThanOrEqual(2 * MAX_MARKS + 1);
  expect(found.at(-1)?.text).not.toContain("\u0001");
});

test("a text is never cut through a character", () => {
  expect(beginning("ab🙂", 3)).toBe("ab");
  expect(beginning("ab🙂", 4)).toBe("ab🙂");
  expect(beginning("abc", 2)).toBe("ab");
});
