import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "./api";
import { applyLanguage } from "./i18n";
import { language } from "./settings";
import { reasonOf } from "./troubles";

beforeEach(() => {
  vi.stubGlobal("navigator", { languages: ["en"] });
  vi.stubGlobal("window", new EventTarget());
  applyLanguage({} as HTMLElement);
});
afterEach(() => {
  language.set("system");
  vi.unstubAllGlobals();
});

const pattern = new ApiError(400, "invalid_argument", "q: unclosed group");

test("a refusal is said by its code, in the language of the page", () => {
  const busy = new ApiError(503, "too_many_searches", "32 searches run");
  expect(reasonOf(busy)).toBe("The server searches too much at once now");
  language.set("ko");
  expect(reasonOf(busy)).toBe("서버가 지금 너무 많은 검색을 하고 있습니다");
});

test("what says more than its code keeps it", () => {
  expect(reasonOf(pattern)).toBe("q: unclosed group");
  expect(reasonOf(new ApiError(502, "unreachable", "HTTP 502 Bad Gateway"))).toBe(
    "log-ingest does not answer: HTTP 502 Bad Gateway",
  );
  language.set("ko");
  expect(reasonOf(pattern)).toBe("서버가 받지 않은 값: q: unclosed group");
});

test("the browser's own words are not shown where nothing came, and what is not known is, as it came", () => {
  expect(reasonOf(new ApiError(0, "unreachable", "Failed to fetch"))).toBe("log-ingest does not answer");
  expect(reasonOf(new ApiError(418, "teapot", "short and stout"))).toBe("short and stout");
  expect(reasonOf(new Error("broken"))).toBe("broken");
});
