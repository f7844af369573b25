/**
 * What is pressed stays where it is, and as it is, until it is let go: lines come, and rows are written anew, while a button
 * of a mouse or a finger is down, and a browser then tells of a press on another line, or of none, and selects nothing.
 */

/** Whoever presses for longer does not mean it, or it was not told when he let go. */
const LONGEST_MS = 5_000;
/** The button that brings a menu. */
const MENU = 2;
/** A finger's click comes so much later than the finger goes. */
const CLICK_MS = 100;
/** What is no press any more: the browser takes it for something else, or the person does something else meanwhile. */
const ENDS = ["pointercancel", "contextmenu", "dragstart", "wheel", "keydown"];

export class Press {
  readonly #element: HTMLElement;
  /** On the clock of `performance.now`. */
  #until = 0;
  /** What is listened for while something is pressed. */
  #heard: AbortController | null = null;

  constructor(element: HTMLElement) {
    this.#element = element;
    element.addEventListener("pointerdown", this.#down, { passive: true });
  }

  close(): void {
    this.#element.removeEventListener("pointerdown", this.#down);
    this.#end();
  }

  /** Nothing is to be drawn. */
  get isDown(): boolean {
    return performance.now() < this.#until;
  }

  readonly #down = ({ target, button }: PointerEvent): void => {
    this.#end();
    // Beside rows are scroll bars, and a menu takes the end of a press for itself.
    const isPress = button !== MENU && target instanceof Element && target.closest(".log-row") !== null;
    if (isPress) this.#begin();
  };

  #begin(): void {
    this.#until = performance.now() + LONGEST_MS;
    this.#heard = new AbortController();
    const options = { passive: true, signal: this.#heard.signal };
    this.#element.addEventListener("click", this.#end, options);
    document.addEventListener("pointerup", this.#up, options);
    document.addEventListener("pointermove", this.#move, options);
    document.addEventListener("selectionchange", this.#selects, options);
    for (const type of ENDS) document.addEventListener(type, this.#end, options);
  }

  /** It was let go where nobody was told. */
  readonly #move = ({ buttons }: PointerEvent): void => {
    if (buttons === 0) this.#end();
  };

  /** Whoever selects may go on beyond what is seen. */
  readonly #selects = (): void => {
    if (getSelection()?.isCollapsed === false) this.#end();
  };

  readonly #up = (): void => {
    this.#until = Math.min(this.#until, performance.now() + CLICK_MS);
  };

  readonly #end = (): void => {
    this.#until = 0;
    this.#heard?.abort();
    this.#heard = null;
  };
}
