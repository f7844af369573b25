/** The line that somebody looks at, which stays in sight where the window gets another size or lines another shape. */

import type { Anchor } from "./anchor";

export interface Looked {
  readonly sequence: number;
  readonly row: number;
}

/** A window that gets another height. */
export interface Resized {
  /** Where it was told to be, or where it is. */
  readonly told: Anchor;
  readonly drawn: Anchor;
  readonly from: number;
  readonly to: number;
  /** How much of the line that is looked at is below it by now. */
  readonly covered: number;
}

export class Looking {
  /** Where a window that was so high was, before it became smaller and went on for the line. */
  #before: { readonly anchor: Anchor; readonly viewport: number } | null = null;
  /** The line that was looked at when lines took another shape, in which none was drawn yet. */
  #lost: Looked | null = null;

  /** Rows have come or gone above: what was before is there no longer. */
  stays(): void {
    this.#before = null;
  }

  /** Somebody has gone elsewhere: there is no way back. */
  left(): void {
    this.#before = null;
    this.#lost = null;
  }

  /** Where the window goes: on as far as it must, and back once it is as high again. */
  resized({ told, drawn, from, to, covered }: Resized): Anchor | null {
    const before = this.#before;
    if (before && to >= before.viewport) {
      this.#before = null;
      return before.anchor;
    }
    if (covered <= 0) return null;
    this.#before = before ?? { anchor: told, viewport: from };
    return { row: drawn.row, px: drawn.px + covered };
  }

  /** Lines take another shape. */
  reshaped(looked: Looked | null): void {
    this.#before = null;
    this.#lost ??= looked;
  }

  /** The line to look for among those that are drawn in another shape, once. */
  lost(): Looked | null {
    const lost = this.#lost;
    this.#lost = null;
    return lost;
  }
}
