import { describe, expect, it } from "vitest";
import { languageOf } from "./i18n";
import { messages } from "./log/messages";
import { text } from "./text";

describe("the language", () => {
  it.each([
    ["system", ["ko-KR", "en"], "ko"],
    ["system", ["fr", "KO"], "ko"],
    ["system", ["en-GB", "ko"], "en"],
    ["system", ["fr", "de"], "en"],
    ["system", [], "en"],
    ["en", ["ko"], "en"],
    ["ko", ["en"], "ko"],
  ] as const)("of choice %s where people prefer %j is %s", (choice, preferred, language) => {
    expect(languageOf(choice, preferred)).toBe(language);
  });
});

describe.each([
  ["the page", text],
  ["the log", messages],
])("the texts of %s", (_, catalog) => {
  it("are there in both languages, and the Korean ones are Korean", () => {
    const entries = Object.entries(catalog.ko).filter(([, value]) => typeof value === "string");
    expect(Object.keys(catalog.ko).sort()).toEqual(Object.keys(catalog.en).sort());
    const same = new Set(["product", "stdout", "stderr", "system", "utc"]);
    for (const [name, value] of entries) {
      if (!same.has(name)) expect(value, name).toMatch(/[가-힣]|^[^A-Za-z]+$/);
    }
  });
});
