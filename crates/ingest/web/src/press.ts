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
const ENDS = ["pointercancel", "contextmenu", "dragstart", "wheel"];
/** Keys that are part of a press, and are told of again and again while they are held. */
const MODIFIERS: readonly string[] = ["Shift", "Control", "Alt", "Meta"];

export class Press {
  readonly #element: HTMLElement | Document;
  readonly #pressable: string;
  readonly #ended: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What is listened for while something is pressed. */
  #heard: AbortController | null = null;

  /** Of what matches a selector in an element; `ended` is called when it is let go. */
  constructor(element: HTMLElement | Document, pressable: string, ended: () => void = () => {}) {
    this.#element = element;
    this.#pressable = pressable;
    this.#ended = ended;
    element.addEventListener("pointerdown", this.#down as EventListener, { passive: true });
  }

  close(): void {
    this.#element.removeEventListener("pointerdown", this.#down as EventListener);
    this.#leave();
  }

  /** Nothing is to be drawn. */
  get isDown(): boolean {
    return this.#heard !== null;
  }

  readonly #down = ({ target, button }: PointerEvent): void => {
    this.end();
    // Beside rows are scroll bars, and a menu takes the end of a press for itself.
    const isPress = button !== MENU && target instanceof Element && target.closest(this.#pressable) !== null;
    if (isPress) this.#begin();
  };

  #begin(): void {
    this.#endIn(LONGEST_MS);
    this.#heard = new AbortController();
    const options = { passive: true, signal: this.#heard.signal };
    this.#element.addEventListener("click", this.end, options);
    document.addEventListener("pointerup", this.#up, options);
    document.addEventListener("pointermove", this.#move, options);
    document.addEventListener("selectionchange", this.#selects, options);
    document.addEventListener("keydown", this.#key, options);
    for (const type of ENDS) document.addEventListener(type, this.end, options);
  }

  /** It was let go where nobody was told. */
  readonly #move = ({ buttons }: PointerEvent): void => {
    if (buttons === 0) this.end();
  };

  /** Whoever selects may go on beyond what is seen. */
  readonly #selects = (): void => {
    if (getSelection()?.isCollapsed === false) this.end();
  };

  readonly #key = ({ key }: KeyboardEvent): void => {
    if (!MODIFIERS.includes(key)) this.end();
  };

  readonly #up = (): void => this.#endIn(CLICK_MS);

  #endIn(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.end, wait);
  }

  readonly end = (): void => {
    if (!this.isDown) return;
    this.#leave();
    this.#ended();
  };

  #leave(): void {
    clearTimeout(this.#timer);
    this.#heard?.abort();
    this.#heard = null;
  }
}
