/** The next frame: asked for as often as anybody likes, it comes once, and not while something is pressed. */

import { Press } from "../press";

export interface Drawing {
  /** What it is to show may change yet; who asks for a frame then has this one. */
  settle(): void;
  draw(): void;
}

export class Frame {
  readonly #drawing: Drawing;
  readonly #press: Press;
  #asked = 0;

  /** Of what is drawn in an element. */
  constructor(element: HTMLElement, drawing: Drawing) {
    this.#drawing = drawing;
    this.#press = new Press(element, ".log-row");
  }

  close(): void {
    this.#press.close();
    cancelAnimationFrame(this.#asked);
  }

  /** It was asked for, and is not drawn yet. */
  get isDue(): boolean {
    return this.#asked !== 0;
  }

  ask(): void {
    this.#asked ||= requestAnimationFrame(this.#come);
  }

  /** What is pressed does not hold it back any longer. */
  release(): void {
    this.#press.end();
  }

  /** Has it come at once, if it was asked for. */
  hurry(): void {
    if (!this.isDue) return;
    cancelAnimationFrame(this.#asked);
    this.#come();
  }

  readonly #come = (): void => {
    if (this.#press.isDown) {
      this.#asked = requestAnimationFrame(this.#come);
      return;
    }
    try {
      this.#drawing.settle();
    } finally {
      this.#asked = 0;
    }
    this.#drawing.draw();
  };
}
