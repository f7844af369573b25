/** Where in the window drawn lines are seen, in pixels below its top. */

import type { List } from "./list";
import type { Row } from "./row";

export class Pane {
  readonly #list: List;
  readonly #window: HTMLElement;

  constructor(list: List, window: HTMLElement) {
    this.#list = list;
    this.#window = window;
  }

  /** What is left to rows: the bar for long lines takes its part. */
  get room(): number {
    return this.#window.clientHeight;
  }

  /** Where a line begins; nothing where it is not seen. */
  topOf(sequence: number): number | null {
    const line = this.#placeOf(sequence);
    return line && line.bottom > 0 && line.top < this.room ? line.top : null;
  }

  /** Whether the whole of a line is seen. */
  hasWhole(sequence: number): boolean {
    const line = this.#placeOf(sequence);
    return line !== null && line.top >= 0 && line.bottom <= this.room;
  }

  /** How much of a line is below; of one that is higher than the window, of its first line. Nothing where it is not drawn. */
  coveredOf(sequence: number, lineHeight: number): number | null {
    const line = this.#placeOf(sequence);
    if (!line) return null;
    const isHigh = line.bottom - line.top > this.room;
    return (isHigh ? line.top + lineHeight : line.bottom) - this.room;
  }

  /** Scrolls to the side to what is marked in a line, if that is not seen. How far below it is; nothing where none is marked. */
  showMark(sequence: number): number | null {
    const number = this.#rowOf(sequence)?.element.querySelector(".log-number");
    const mark = number?.parentElement?.querySelector("mark");
    if (!number || !mark) return null;
    const { left, right, bottom } = mark.getBoundingClientRect();
    const window = this.#window.getBoundingClientRect();
    // A third from the left, as a line that is gone to is a third from the top; numbers stay, and cover what is below them.
    if (left < number.getBoundingClientRect().right || right > window.right)
      this.#window.scrollLeft += left - window.left - window.width / 3;
    return bottom - window.top - this.room;
  }

  #rowOf(sequence: number): Row | undefined {
    return this.#list.shown.find((row) => row.sequence === sequence);
  }

  #placeOf(sequence: number): { readonly top: number; readonly bottom: number } | null {
    const row = this.#rowOf(sequence);
    if (!row) return null;
    const { top, bottom } = row.element.getBoundingClientRect();
    const above = this.#window.getBoundingClientRect().top;
    return { top: top - above, bottom: bottom - above };
  }
}
