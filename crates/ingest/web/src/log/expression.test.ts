import { describe, expect, test } from "vitest";
import { Expression } from "./expression";

const TEXTS = [
  "",
  "a b a+b aab abab",
  "error: 12 of 345 failed in 6.7s",
  "[2026-03-01] GET /v1/tasks?state=failed 503",
  "Fehler: Straße ÄÖÜ 나가다 가나다 🦀 x\u0301",
  "at foo.bar(Baz.java:42)   \t end",
  "aaaaaaaaab",
  "--- - ]^\\ {1} ",
];

/** Patterns that mean the same to the browser's own engine. */
const PATTERNS = [
  "a",
  "ab|a",
  "a|ab",
  "(a|ab)(b|)",
  "a*b",
  "a*?b",
  "a+",
  "a+?",
  "a?b",
  "(?:ab)+",
  "(ab){2}",
  "a{2,}",
  "a{1,3}?b",
  "a{0}b",
  "(a*)*b",
  "(|a)+",
  "x*",
  "^error",
  "failed$",
  "^.*$",
  "\\bat\\b",
  "o\\B",
  "[0-9]+(\\.[0-9]+)?s",
  "[^a-z ]+",
  "[]^\\\\-]+",
  "[-a]+",
  "[a-]+",
  "\\[[^\\]]*\\]",
  "\\d+",
  "\\s+",
  "\\S+$",
  "\\x41|\\x{66}",
  "\\p{Lu}+",
  "\\pL+",
  "가.다",
  "🦀",
  "[🦀가]",
  "straSSe|stra\u00dfe",
  "\\.java:(?P<line>\\d+)",
  "(?i)FEHLER",
  "(?i:GET) /v\\d",
  "\\{1\\}",
  "tasks\\?state=(failed|done)",
];

/** In the browser's words. */
const inScript = (pattern: string) =>
  pattern
    .replace("(?P<", "(?<")
    .replace("\\x{66}", "\\x66")
    .replace("\\pL", "\\p{L}")
    .replace("[]^", "[\\]^")
    .replace("(?i)FEHLER", "Fehler")
    .replace("(?i:GET)", "GET");

function expected(pattern: string, matchCase: boolean, text: string): [number, number][] {
  const found = text.matchAll(new RegExp(inScript(pattern), matchCase ? "gu" : "giu"));
  return [...found].filter(([match]) => match !== "").map((match) => [match.index, match.index + match[0].length]);
}

describe("what is found is what the browser's own engine finds", () => {
  test.each(PATTERNS)("%s", (pattern) => {
    for (const matchCase of [true, false]) {
      const expression = Expression.of(pattern, matchCase);
      expect(expression).not.toBeNull();
      for (const text of TEXTS) expect(expression?.places(text, 100), text).toEqual(expected(pattern, matchCase, text));
    }
  });
});

test.each([
  "(?x) a b",
  "[[:alpha:]]",
  "[a&&b]",
  "\\p{Greek}",
  "(a",
  "a)",
  "*",
  "\\1",
  "(?<=a)b",
  "((a{99}){99}){99}",
  "a{9999}",
])("%s is not known here", (pattern) => expect(Expression.of(pattern, true)).toBeNull());

test("no pattern and no text keep it busy: it stops, with what it has found until then", () => {
  const text = `ab${"a".repeat(65_536)}`;
  for (const pattern of ["(x+x+)+y", "(a*)*b", "(a|aa)+$z", "(.*a){300}z", "(a?){900}b"]) {
    const began = performance.now();
    const places = Expression.of(pattern, true)?.places(text, 64) ?? [];
    expect(performance.now() - began).toBeLessThan(2_000);
    for (const [first] of places) expect(first).toBe(0);
  }
});

test("of many places no more are looked for than asked for", () => {
  expect(Expression.of("a", true)?.places("a".repeat(100), 3)).toEqual([
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
});
