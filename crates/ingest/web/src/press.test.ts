import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Press } from "./press";

/** As much of the browser's as a press asks for. */
class Place extends EventTarget {
  readonly #isRow: boolean;

  constructor(isRow: boolean) {
    super();
    this.#isRow = isRow;
  }

  closest(): Place | null {
    return this.#isRow ? this : null;
  }
}

const [row, bar] = [new Place(true), new Place(false)];
let element: EventTarget;
let selection: { isCollapsed: boolean } | null;

function tells(to: EventTarget, type: string, more: object = {}): void {
  const event = new Event(type);
  for (const [name, value] of Object.entries(more)) Object.defineProperty(event, name, { value });
  to.dispatchEvent(event);
}

const goesDown = (more: object = {}) => tells(element, "pointerdown", { target: row, button: 0, ...more });

beforeEach(() => {
  vi.useFakeTimers();
  element = new EventTarget();
  selection = null;
  vi.stubGlobal("Element", Place);
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("getSelection", () => selection);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const made = () => new Press(element as HTMLElement, ".row");

test("a row is pressed until the click, or for a moment where none follows", () => {
  const press = made();
  expect(press.isDown).toBe(false);
  goesDown();
  expect(press.isDown).toBe(true);
  tells(document, "pointerup");
  expect(press.isDown).toBe(true);
  tells(element, "click");
  expect(press.isDown).toBe(false);
  goesDown();
  tells(document, "pointerup");
  vi.advanceTimersByTime(100);
  expect(press.isDown).toBe(false);
});

test("a key ends it, and one that is held with it does not", () => {
  const press = made();
  goesDown();
  for (const key of ["Shift", "Control", "Alt", "Meta", "Shift"]) tells(document, "keydown", { key });
  expect(press.isDown).toBe(true);
  tells(document, "keydown", { key: "j" });
  expect(press.isDown).toBe(false);
});

test("whoever waits for the end is told once", () => {
  let ended = 0;
  const press = new Press(element as HTMLElement, ".row", () => {
    ended += 1;
  });
  goesDown();
  tells(document, "pointerup");
  expect(ended).toBe(0);
  vi.advanceTimersByTime(100);
  vi.advanceTimersByTime(10_000);
  tells(document, "pointermove", { buttons: 0 });
  expect(ended).toBe(1);
  goesDown();
  press.close();
  expect(press.isDown).toBe(false);
  expect(ended).toBe(1);
});

test("a scroll bar is not pressed, nor is a row by the button that brings a menu", () => {
  const press = made();
  goesDown({ target: bar });
  expect(press.isDown).toBe(false);
  goesDown({ button: 2 });
  expect(press.isDown).toBe(false);
  goesDown({ button: 1 });
  expect(press.isDown).toBe(true);
});

test("it is no press any more once it is something else, or the person does something else", () => {
  const press = made();
  for (const type of ["pointercancel", "contextmenu", "dragstart", "wheel", "keydown"]) {
    goesDown();
    tells(document, type);
    expect(press.isDown, type).toBe(false);
  }
});

test("whoever selects sees what comes", () => {
  const press = made();
  goesDown();
  selection = { isCollapsed: true };
  tells(document, "selectionchange");
  expect(press.isDown).toBe(true);
  selection = { isCollapsed: false };
  tells(document, "selectionchange");
  expect(press.isDown).toBe(false);
});

test("one that nobody told to have ended has: with the next move, or after a time", () => {
  const press = made();
  goesDown();
  tells(document, "pointermove", { buttons: 1 });
  expect(press.isDown).toBe(true);
  tells(document, "pointermove", { buttons: 0 });
  expect(press.isDown).toBe(false);
  goesDown();
  vi.advanceTimersByTime(4_999);
  expect(press.isDown).toBe(true);
  vi.advanceTimersByTime(1);
  expect(press.isDown).toBe(false);
});

test("nobody is heard any more once it is closed", () => {
  const press = made();
  press.close();
  goesDown();
  expect(press.isDown).toBe(false);
});
