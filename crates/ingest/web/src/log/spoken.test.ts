import { expect, test } from "vitest";
import { entryOf } from "./line";
import { messages } from "./messages";
import { type Gone, spoken } from "./spoken";

const line = { sequence: 120, message: "\x1b[31m50%\rit broke\x1b[0m", source: "stderr" };
const gone: Gone = { entry: entryOf(line), mark: null, group: undefined, folded: false, chosen: null };
const said = (more: Partial<Gone>) => spoken({ ...gone, ...more }, messages.en, (code) => `because of ${code}`);

test("a line is read out as people see it, with what is marked of it by colour", () => {
  expect(said({})).toBe("Line 120, stderr: it broke");
  expect(said({ mark: "error" })).toBe("Line 120, stderr, error: it broke");
  expect(said({ entry: entryOf({ sequence: 7, message: "well" }) })).toBe("Line 7: well");
});

test("with a range that grows, the range comes first", () => {
  expect(said({ chosen: [118, 120] })).toBe("Lines 118 to 120. Line 120, stderr: it broke");
  expect(said({ chosen: [120, 120] })).toBe("Line 120, stderr: it broke");
});

test("a group is one, and says whether it is folded", () => {
  const group = { first: 1, last: 9, title: "Build", depth: 0, collapsed: true, started_at: "", ended_at: null };
  const entry = entryOf({ sequence: 1, message: "::group::Build" });
  expect(said({ entry, group, folded: true })).toBe("Line 1, group, folded: Build");
  expect(said({ entry, group })).toBe("Line 1, group, open: Build");
});

test("of a long line its beginning is read out, and of one that is not here yet nothing", () => {
  expect(said({ entry: entryOf({ sequence: 1, message: "x".repeat(9_000) }) })).toHaveLength("Line 1: ".length + 200);
  expect(said({ entry: undefined })).toBe("");
});

test("what is missing is said to be missing", () => {
  const entry = entryOf({ sequence: 4, gap: { last_sequence: 9, reason: "buffer_full" } });
  expect(said({ entry })).toBe("Lines 4 to 9 are missing: because of buffer_full");
});
