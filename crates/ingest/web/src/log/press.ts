/**
 * What is pressed stays where it is, and as it is, until it is let go: lines come, and rows are written anew, while a button
 * of a mouse or a finger is down, and a browser then tells of a press on another line, or of none, and selects nothing.
 */

/** Whoever presses for longer does not mean it, or it was not told when he let go. */
const LONGEST_MS = 5_000;
/** A finger's click comes so much later than the finger goes. */
const CLICK_MS = 100;

export class Press {
  readonly #element: HTMLElement;
  /** On the clock of `performance.now`. */
  #until = 0;

  constructor(element: HTMLElement) {
    this.#element = element;
    element.addEventListener("pointerdown", this.#down, { passive: true });
    element.addEventListener("click", this.#end, { passive: true });
    document.addEventListener("pointerup", this.#up, { passive: true });
    document.addEventListener("pointercancel", this.#end, { passive: true });
    document.addEventListener("selectionchange", this.#selects);
  }

  close(): void {
    this.#element.removeEventListener("pointerdown", this.#down);
    this.#element.removeEventListener("click", this.#end);
    document.removeEventListener("pointerup", this.#up);
    document.removeEventListener("pointercancel", this.#end);
    document.removeEventListener("selectionchange", this.#selects);
  }

  /** Nothing is to be drawn. */
  get isDown(): boolean {
    return performance.now() < this.#until;
  }

  readonly #down = ({ target }: PointerEvent): void => {
    // Beside rows are scroll bars.
    const isPress = target instanceof Element && target.closest(".log-row") !== null;
    this.#until = isPress ? performance.now() + LONGEST_MS : 0;
  };

  /** Whoever selects may go on beyond what is seen. */
  readonly #selects = (): void => {
    if (getSelection()?.isCollapsed === false) this.#until = 0;
  };

  readonly #up = (): void => {
    this.#until = Math.min(this.#until, performance.now() + CLICK_MS);
  };

  readonly #end = (): void => {
    this.#until = 0;
  };
}
