import { expect, it } from "vitest";
import { asked, changed, filterOf, isNarrowed, PAGE, rangeOf, toPage } from "./filter";

const query = (text: string) => new URLSearchParams(text);

it("the address says what is shown", () => {
  expect(filterOf(query("q=a+b&state=failed&order=failed&page=3&cursor=C"))).toEqual({
    q: "a b",
    state: "failed",
    failedFirst: true,
    page: 3,
    cursor: "C",
  });
});

it("what it says wrong counts for nothing", () => {
  const nothing = { q: "", state: undefined, failedFirst: false, page: 1, cursor: undefined };
  expect(filterOf(query("state=odd&order=x&page=7"))).toEqual(nothing);
  for (const page of ["0", "-1", "1.5", "x", "1e99"]) expect(filterOf(query(`cursor=C&page=${page}`)).page).toBe(1);
});

it("the server is asked for a page of what is shown", () => {
  const all = { q: undefined, state: undefined, order: undefined, limit: PAGE, cursor: undefined };
  expect(asked(filterOf(query("")))).toEqual(all);
  expect(asked(filterOf(query("q=x&order=failed&cursor=C&page=2")))).toEqual({
    ...all,
    q: "x",
    order: "failed",
    cursor: "C",
  });
});

it("another filter begins at its first page, and keeps the others", () => {
  const before = query("q=x&order=failed&page=3&cursor=C");
  expect(changed(before, "state", "done").toString()).toBe("q=x&order=failed&state=done");
  expect(changed(before, "q", "").toString()).toBe("order=failed");
});

it("pages are told by their numbers", () => {
  expect(toPage(query("q=x"), 2, "C").toString()).toBe("q=x&page=2&cursor=C");
  expect(toPage(query("q=x&page=2&cursor=C"), 1, undefined).toString()).toBe("q=x");
  expect(rangeOf(1, 7)).toEqual([1, 7]);
  expect(rangeOf(3, PAGE)).toEqual([2 * PAGE + 1, 3 * PAGE]);
});

it("an order alone hides no task", () => {
  expect(isNarrowed(filterOf(query("order=failed")))).toBe(false);
  expect(isNarrowed(filterOf(query("q=x")))).toBe(true);
  expect(isNarrowed(filterOf(query("state=done")))).toBe(true);
});
