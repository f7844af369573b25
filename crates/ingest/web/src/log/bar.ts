/** The scroll bar: how much there is to scroll to, and where it stands. What the browser moves by itself is nobody's wish. */

import { type Extent, range, spacerHeight } from "./anchor";

export class Bar {
  readonly #element: HTMLElement;
  /** What gives the scroller its height. */
  readonly #space: HTMLElement;
  /** Where it was last. */
  #place = 0;
  #height = 0;

  constructor(element: HTMLElement, space: HTMLElement) {
    this.#element = element;
    this.#space = space;
  }

  /** From where to where it was moved since it was looked at last; nothing where it was not. */
  moved(): { readonly from: number; readonly to: number } | null {
    const { scrollTop: to, scrollHeight, clientHeight } = this.#element;
    // At its end it is moved by the browser when the window grows, before anybody is told that it has.
    const from = Math.min(this.#place, scrollHeight - clientHeight);
    this.#place = Math.abs(to - from) < 1 ? from : to;
    return this.#place === from ? null : { from, to };
  }

  /** It was moved, and nobody has looked yet. */
  get isMoving(): boolean {
    return Math.abs(this.#element.scrollTop - this.#place) >= 1;
  }

  /** It can go no further, to one side or the other. */
  isAtEdge(extent: Extent): boolean {
    return this.#place <= 0 || this.#place >= range(extent) - 1;
  }

  /** Where it stands is where it is to be, however it came there. */
  accept(): void {
    this.#place = this.#element.scrollTop;
  }

  /** As much to scroll as there is. Where that becomes less, the browser may move it. */
  stretch(extent: Extent): void {
    const height = spacerHeight(extent);
    if (height === this.#height) return;
    this.#space.style.setProperty("height", `${height}px`);
    if (height < this.#height) this.accept();
    this.#height = height;
  }

  put(place: number): void {
    if (Math.abs(place - this.#element.scrollTop) >= 1) this.#element.scrollTop = place;
    this.accept();
  }
}
