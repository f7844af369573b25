import { expect, it } from "vitest";
import { lineHeight } from "./lineHeight";

it("a line is as high as the browser's font asks for, higher for fingers, and in whole pixels", () => {
  expect(lineHeight(16, false)).toBe(20);
  expect(lineHeight(16, true)).toBe(24);
  expect(lineHeight(24, false)).toBe(30);
  expect(lineHeight(15, false)).toBe(19);
});
