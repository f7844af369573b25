/** The scroll bar: how much there is to scroll to, and where it stands. What the browser moves by itself is nobody's wish. */

import { type Extent, range, spacerHeight } from "./anchor";

/** As much of a scroller as is needed. */
type Scrolled = Pick<Element, "scrollTop" | "scrollHeight" | "clientHeight">;

export interface Move {
  readonly from: number;
  readonly to: number;
}

/**
 * From where to where a scroller has gone from a place. Less than `least` pixels is no move, until more of the kind make
 * one. At its end a browser moves it when the window grows, or when there is less in it, before anybody is told; where
 * that is it tells in whole pixels, and where it stands in parts of them.
 */
export function moveFrom(place: number, { scrollTop: to, scrollHeight, clientHeight }: Scrolled, least = 1): Move {
  const end = scrollHeight - clientHeight;
  if (place > end) return { from: Math.abs(to - end) < 1 ? to : end, to };
  return { from: place, to: Math.abs(to - place) < least ? place : to };
}

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
  moved(): Move | null {
    const move = moveFrom(this.#place, this.#element);
    this.#place = move.to;
    return move.from === move.to ? null : move;
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
