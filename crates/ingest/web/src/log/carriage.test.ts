import { expect, test } from "vitest";
import { backspaced, MAX_HISTORY, overwritten } from "./carriage";

test.each([
  ["plain", "plain", []],
  ["10%\r50%\r100%", "100%", ["10%", "50%"]],
  ["\r10%\r100%\r", "100%", ["10%"]],
  ["windows line\r", "windows line", []],
  ["\r\r", "", []],
  ["section_start:1:name\r\x1b[0KTitle", "\x1b[0KTitle", []],
  ["section_end:1:name\r\x1b[0K", "", []],
  ["\x1b[0Ksection_end:1:name\r\x1b[0K", "", []],
  ["abc: Pulling\rabc: Pull complete\r\x1b[1B", "abc: Pull complete", ["abc: Pulling"]],
  ["\x1b[2K\x1b[1G[1/2] Resolving\x1b[2K\x1b[1G[2/2] Linking", "[2/2] Linking", ["[1/2] Resolving\x1b[2K"]],
  ["nginx \x1b7\x1b[1G[ ok \x1b8.", "nginx \x1b7\x1b[1G[ ok \x1b8.", []],
  ["\x1b[s\x1b[1G\x1b[u10%\r20%", "20%", ["\x1b[s\x1b[1G\x1b[u10%"]],
  ["Progress 100%\r\x1b(B\x1b[m", "Progress 100%", []],
  ["Done\r\x1b]0;title\x07", "Done", []],
  ["Done\r\x1b]9;4;0\x1b\\", "Done", []],
  ["\x1b[31mred\r\x1b[0m", "\x1b[31mred", []],
])("%j shows %j", (text, shown, history) => expect(overwritten(text)).toEqual({ shown, history }));

test("a colour that was chosen before goes on after a carriage return", () => {
  expect(overwritten("\x1b[32m10%\r100%").shown).toBe("\x1b[32m100%");
});

test("of very many states the latest are kept", () => {
  const states = Array.from({ length: 100_000 }, (_, at) => String(at));
  const { shown, history } = overwritten(states.join("\r"));
  expect(shown).toBe("99999");
  expect(history).toEqual(states.slice(-1 - MAX_HISTORY, -1));
});

test.each([
  ["|\b/\b-\b", "-"],
  ["abc\b\bX", "aX"],
  ["\b\babc", "abc"],
  ["abc\b\b\b", "abc"],
  ["\x1b[31ma\x1b[0m\bb", "\x1b[31m\x1b[0mb"],
  ["am\bx", "ax"],
])("backspaces in %j leave %j", (text, shown) => expect(backspaced(text)).toBe(shown));
