/** Keys that scroll, as the browser's own, which it gives only to what has the focus. */

import type { Binding } from "../keys";
import type { Texts } from "./messages";

/** How far they go, in pixels. */
export interface Distances {
  readonly page: number;
  readonly lines: number;
}

export function scrollKeys(words: Texts, distances: () => Distances, by: (pixels: number) => void): Binding[] {
  const page = (pages: number) => by(pages * distances().page);
  const lines = (steps: number) => by(steps * distances().lines);
  return [
    // With Shift, Space goes up, as everywhere.
    {
      keys: ["PageDown", " "],
      label: words.pageDown,
      run: ({ key, shiftKey }) => page(key === " " && shiftKey ? -1 : 1),
    },
    { keys: ["PageUp"], label: words.pageUp, run: () => page(-1) },
    { keys: ["ArrowDown"], label: words.lineDown, run: () => lines(1) },
    { keys: ["ArrowUp"], label: words.lineUp, run: () => lines(-1) },
  ];
}
