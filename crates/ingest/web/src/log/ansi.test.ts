import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { advance, contrast, MAX_SPANS, PLAIN, paint, plain, readable, rgbOf, safeLink, select } from "./ansi";

/** What the server holds itself to as well. */
const cases: { line: string; seen: string; style: string }[] = JSON.parse(
  readFileSync(new URL("ansi.cases.json", import.meta.url), "utf8"),
);

const texts = (text: string) => paint(text, PLAIN).spans.map((span) => span.text);

test("text without escapes is one span", () => {
  expect(paint("plain", PLAIN)).toEqual({ spans: [{ text: "plain", style: PLAIN, href: null }], style: PLAIN });
  expect(paint("", PLAIN).spans).toEqual([]);
});

test.each([
  ["1", { bold: true }],
  ["2;3;4", { dim: true, italic: true, underline: true }],
  ["7", { inverse: true }],
  ["31", { fg: 1 }],
  ["97;100", { fg: 15, bg: 8 }],
  ["38;5;9", { fg: 9 }],
  ["38;5;196", { fg: 0x1ff0000 }],
  ["48;5;232", { bg: 0x1080808 }],
  ["38;2;1;2;3", { fg: 0x1010203 }],
  ["38:2::1:2:3", { fg: 0x1010203 }],
  ["48:5:20", { bg: 0x10000d7 }],
  ["1;38;2;1;2;3;4", { bold: true, fg: 0x1010203, underline: true }],
])("SGR %s is told", (codes, style) => {
  expect(select(PLAIN, codes)).toEqual({ ...PLAIN, ...style });
});

test.each([
  "",
  "0",
  "1;0",
  "31;39",
  "41;49",
  "1;22",
  "4;24",
  "4;4:0",
  "38;5;999",
  "38;2;1;2",
  "38;2;300;0;0",
  "38",
  "999",
])("SGR %s leaves nothing behind", (codes) => expect(select(PLAIN, codes)).toBe(PLAIN));

test("a colour that is left on goes on in the next line", () => {
  const first = paint("\x1b[31mred", PLAIN);
  expect(first.style.fg).toBe(1);
  expect(paint("still", first.style).spans[0]?.style.fg).toBe(1);
  expect(advance("x\x1b[1m\x1b[0my", first.style)).toBe(PLAIN);
});

test("lines are seen and leave a style as the server says", () => {
  expect(cases.length).toBeGreaterThan(50);
  for (const { line, seen, style } of cases) {
    const { spans, style: left } = paint(line, PLAIN);
    expect([line, plain(line), spans.map(({ text }) => text).join("")]).toEqual([line, seen, seen]);
    const told = select(PLAIN, style);
    expect([line, left, advance(line, PLAIN)]).toEqual([line, told, told]);
  }
});

test("what a terminal would do besides is left out, and makes no span of its own", () => {
  expect(texts("a\x1b[2Kb\x1b[10;5Hc\x1b(Bd\x1b]0;title\x07e\x1bPq\x1b\\f\x1b_bk;t=1\x07g")).toEqual(["abcdefg"]);
});

test("a link is a span with its address", () => {
  const { spans } = paint("see \x1b]8;id=1;https://example.org/a\x1b\\docs\x1b]8;;\x07 now", PLAIN);
  expect(spans.map(({ text, href }) => [text, href])).toEqual([
    ["see ", null],
    ["docs", "https://example.org/a"],
    [" now", null],
  ]);
});

test.each([
  "javascript:alert(1)",
  "data:text/html,x",
  "file:///etc/passwd",
  "//example.org",
  "https://a b",
  "https://\u202eexample.org",
  "JAVASCRIPT:x",
  `https://example.org/${"x".repeat(3000)}`,
  "https://",
])("a link to %s is none", (uri) => expect(safeLink(uri)).toBeNull());

test.each(["http://example.org", "HTTPS://example.org/?q=1", "mailto:me@example.org"])(
  "a link to %s may be opened",
  (uri) => expect(safeLink(uri)).toBe(uri),
);

test("a bomb of colours becomes a bounded number of spans, and no text is lost", () => {
  const text = Array.from({ length: 20_000 }, (_, at) => `\x1b[38;5;${at % 256}mx`).join("");
  const { spans, style } = paint(text, PLAIN);
  expect(spans.length).toBeLessThanOrEqual(MAX_SPANS);
  expect(spans.reduce((sum, span) => sum + span.text.length, 0)).toBe(20_000);
  expect(style).toEqual(advance(text, PLAIN));
});

test("many strings without an end take time linear in the text", () => {
  const began = performance.now();
  plain("\x1b]".repeat(500_000));
  plain("\x1b]x\x07".repeat(200_000));
  expect(performance.now() - began).toBeLessThan(5_000);
});

test("text on a background of the log can be read", () => {
  for (let fg = 0; fg < 16; fg += 1) {
    for (let bg = 0; bg < 16; bg += 1) {
      const background = rgbOf(bg);
      expect(contrast(readable(rgbOf(fg), background), background)).toBeGreaterThanOrEqual(4.5);
    }
  }
  expect(readable(0xffffff, 0x000000)).toBe(0xffffff);
});
