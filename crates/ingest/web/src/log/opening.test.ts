import { expect, it } from "vitest";
import { type Known, openingOf, type Wanted } from "./opening";

const NOTHING: Wanted = { wish: null, left: null, linked: null };
const BEGUN = "2026-01-02T03:04:05Z";
const RUNS: Known = { begun: BEGUN, running: true, failed: false, outlined: false, firstFailure: null };
const WELL: Known = { ...RUNS, running: false };
const FAILED: Known = { ...WELL, failed: true, outlined: true, firstFailure: 401 };

it("a log that runs, or went well, opens at its end, whatever is said of failures in it", () => {
  const end = { to: "end", where: "third", cursor: null };
  expect(openingOf(NOTHING, RUNS)).toEqual(end);
  expect(openingOf(NOTHING, { ...WELL, outlined: true, firstFailure: 7 })).toEqual(end);
});

it("a log that failed opens where it failed, once that is known, and at its end if it does not say", () => {
  expect(openingOf(NOTHING, { ...FAILED, outlined: false, firstFailure: null })).toBeNull();
  expect(openingOf(NOTHING, FAILED)).toEqual({ to: 401, where: "third", cursor: 401 });
  expect(openingOf(NOTHING, { ...FAILED, firstFailure: null })).toEqual({ to: "end", where: "third", cursor: null });
});

it("a link leads to its line before anything is known of failures", () => {
  const linked = { ...NOTHING, linked: 12 };
  for (const known of [RUNS, WELL, FAILED, { ...FAILED, outlined: false }]) {
    expect(openingOf(linked, known)).toEqual({ to: 12, where: "third", cursor: 12 });
  }
});

it("a log that was left opens there, before any link of its address", () => {
  const left = { ...NOTHING, left: { begun: BEGUN, top: 120, cursor: 7 }, linked: 12 };
  expect(openingOf(left, WELL)).toEqual({ to: 120, where: "top", cursor: 7 });
  expect(openingOf({ ...left, left: { begun: BEGUN, top: "end", cursor: 7 } }, WELL)).toEqual({
    to: "end",
    where: "top",
    cursor: 7,
  });
});

it("a log that has the name of one that was left opens as if it were new", () => {
  const other: Wanted = { ...NOTHING, left: { begun: "2025-01-02T03:04:05Z", top: 120, cursor: 7 } };
  expect(openingOf(other, RUNS)).toEqual({ to: "end", where: "third", cursor: null });
});

it("a log that was followed is followed while it runs, and opens as if it were new once it has ended", () => {
  const followed: Wanted = { ...NOTHING, left: { begun: BEGUN, top: "follow", cursor: null } };
  expect(openingOf(followed, RUNS)).toEqual({ to: "end", where: "top", cursor: null });
  expect(openingOf(followed, FAILED)).toEqual({ to: 401, where: "third", cursor: 401 });
});

it("a key that was pressed before the log opened leads", () => {
  const wish: Wanted = { wish: "start", left: { begun: BEGUN, top: 120, cursor: 7 }, linked: 12 };
  expect(openingOf(wish, FAILED)).toEqual({ to: "start", where: "third", cursor: null });
});
