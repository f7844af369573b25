import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Frame } from "./frame";

let element: EventTarget;
let frames: Map<number, () => void>;

beforeEach(() => {
  vi.useFakeTimers();
  element = new EventTarget();
  frames = new Map();
  let asked = 0;
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("Element", EventTarget);
  vi.stubGlobal("requestAnimationFrame", (come: () => void) => {
    asked += 1;
    frames.set(asked, come);
    return asked;
  });
  vi.stubGlobal("cancelAnimationFrame", (which: number) => frames.delete(which));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** The browser draws. */
function comes(): void {
  const due = [...frames.values()];
  frames.clear();
  for (const come of due) come();
}

function setUp(settle: () => void = () => {}) {
  const drawn = vi.fn();
  return { drawn, frame: new Frame(element as HTMLElement, { settle, draw: drawn }) };
}

test("however often it is asked for it comes once", () => {
  const { drawn, frame } = setUp();
  frame.ask();
  frame.ask();
  expect([frames.size, frame.isDue]).toEqual([1, true]);
  comes();
  expect([drawn.mock.calls.length, frames.size, frame.isDue]).toEqual([1, 0, false]);
  frame.ask();
  comes();
  expect(drawn).toHaveBeenCalledTimes(2);
});

test("whoever asks while it is settled what is shown has this one", () => {
  const { drawn, frame } = setUp(() => frame.ask());
  frame.ask();
  comes();
  expect([drawn.mock.calls.length, frames.size]).toEqual([1, 0]);
});

test("who cannot wait has it at once, where it was asked for, and then no other", () => {
  const { drawn, frame } = setUp();
  frame.hurry();
  expect(drawn).not.toHaveBeenCalled();
  frame.ask();
  frame.hurry();
  expect([drawn.mock.calls.length, frames.size, frame.isDue]).toEqual([1, 0, false]);
  comes();
  expect(drawn).toHaveBeenCalledTimes(1);
});

test("none comes while something is pressed, and one does then", () => {
  const { drawn, frame } = setUp();
  const down = Object.assign(new Event("pointerdown"), { button: 0 });
  Object.defineProperty(down, "target", { value: Object.assign(new EventTarget(), { closest: () => element }) });
  element.dispatchEvent(down);
  frame.ask();
  comes();
  comes();
  expect([drawn.mock.calls.length, frame.isDue]).toEqual([0, true]);
  element.dispatchEvent(new Event("click"));
  comes();
  expect([drawn.mock.calls.length, frame.isDue]).toEqual([1, false]);
});

test("one that failed before it was drawn does not stand in the way of the next", () => {
  let fails = true;
  const { drawn, frame } = setUp(() => {
    if (fails) throw new Error("a folded group that is none");
  });
  frame.ask();
  expect(comes).toThrow("a folded group that is none");
  fails = false;
  frame.ask();
  comes();
  expect(drawn).toHaveBeenCalledTimes(1);
});

test("none comes once it is closed", () => {
  const { drawn, frame } = setUp();
  frame.ask();
  frame.close();
  comes();
  expect(drawn).not.toHaveBeenCalled();
});
