import { describe, expect, it } from "vitest";
import { bindingOf, type KeyGroup, latin, type Rank, sheetOf, withGroup, withoutLetters } from "./keys";

const group = (title: string, of: Rank, ...keys: string[]): KeyGroup => ({
  title,
  of,
  bindings: keys.map((key) => ({ keys: [key], label: `${title} ${key}`, run: () => {} })),
});

describe("a key that two parts want", () => {
  it("is the innermost part's, whichever came first", () => {
    const [page, view, part] = [group("page", "page", "g"), group("view", "view", "g"), group("part", "part", "g")];
    const groups = [part, view, page].reduce<readonly KeyGroup[]>(withGroup, []);
    expect(bindingOf(groups, "g")?.label).toBe("part g");
    expect(bindingOf(groups.slice(0, 2), "g")?.label).toBe("view g");
    expect(bindingOf(groups, "G")).toBeUndefined();
  });

  it("is the latest part's among equals", () => {
    const groups = [group("one", "part", "g"), group("two", "part", "g")].reduce<readonly KeyGroup[]>(withGroup, []);
    expect(bindingOf(groups, "g")?.label).toBe("two g");
  });
});

it("the sheet has a title once, the innermost part first", () => {
  const groups = [group("all", "page", "?"), group("list", "part", "j"), group("list", "part", "k")];
  const sheet = sheetOf(groups);
  expect(sheet.map(({ title }) => title)).toEqual(["list", "all"]);
  expect(sheet[0]?.bindings.map(({ label }) => label)).toEqual(["list k", "list j"]);
});

it("where letters do nothing, the other keys of the same binding still do", () => {
  const bindings = [
    { keys: ["g", "Home"], label: "start", run: () => {} },
    { keys: ["?"], label: "help", run: () => {} },
    { keys: ["PageDown", " "], label: "page", run: () => {} },
  ];
  const [left] = withoutLetters([{ title: "log", of: "part", bindings }]);
  expect(left?.bindings.map(({ keys }) => keys)).toEqual([["Home"], ["PageDown", " "]]);
});

describe("a key on a Hangul layout", () => {
  it.each([
    [{ key: "ㅓ", code: "KeyJ", shiftKey: false }, "j"],
    [{ key: "ㅎ", code: "KeyG", shiftKey: true }, "G"],
    [{ key: "Process", code: "KeyK", shiftKey: false }, "k"],
    [{ key: "j", code: "KeyC", shiftKey: false }, "j"],
    [{ key: "?", code: "Slash", shiftKey: true }, "?"],
    [{ key: "Enter", code: "Enter", shiftKey: false }, "Enter"],
  ])("%j is %s", (event, key) => {
    expect(latin(event)).toBe(key);
  });
});
