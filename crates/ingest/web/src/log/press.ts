/**
 * What a press in the log is for: what was under the pointer when it went down. Lines come, and rows are written anew, while
 * a button of a mouse is down; the browser then tells of a click on another row, or of none at all. Each press is told once.
 */

import type { Action } from "./row";

/** A pointer that moved further, in pixels, drags: where it ends is what counts. */
const STILL_PX = 5;

/** What can be pressed, in which line, and the keys that were held. */
export interface Pressed {
  readonly action: Action;
  readonly sequence: number;
  readonly event: MouseEvent;
}

interface Began extends Omit<Pressed, "event"> {
  readonly x: number;
  readonly y: number;
}

export class Press {
  readonly #pressed: (pressed: Pressed) => void;
  #began: Began | null = null;

  constructor(pressed: (pressed: Pressed) => void) {
    this.#pressed = pressed;
  }

  readonly down = ({ target, button, clientX: x, clientY: y }: PointerEvent): void => {
    const what = button === 0 ? pressedAt(target) : null;
    this.#began = what && { ...what, x, y };
  };

  /** A finger's click comes later than this, and is one on what is there by then. */
  readonly up = (event: PointerEvent): void => {
    const began = this.#began;
    if (!began || event.pointerType === "touch") return;
    // The click that belongs to it, if there is one, comes before.
    setTimeout(() => {
      if (this.#began !== began) return;
      this.#began = null;
      if (isStill(began, event)) this.#pressed({ ...began, event });
    });
  };

  /** One by a key has no beginning. */
  readonly click = (event: MouseEvent): void => {
    const began = this.#began;
    this.#began = null;
    const what = began && event.detail > 0 && isStill(began, event) ? began : pressedAt(event.target);
    if (what) this.#pressed({ ...what, event });
  };
}

function isStill({ x, y }: Began, { clientX, clientY }: MouseEvent): boolean {
  return Math.hypot(clientX - x, clientY - y) <= STILL_PX;
}

function pressedAt(target: EventTarget | null): Omit<Pressed, "event"> | null {
  const at = target instanceof Element ? target.closest<HTMLElement>("[data-action]") : null;
  const sequence = Number(at?.closest<HTMLElement>("[data-sequence]")?.dataset["sequence"]);
  return at && sequence ? { action: at.dataset["action"] as Action, sequence } : null;
}
