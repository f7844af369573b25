/** The letter and colour by which a worker's lines are told from others'. */

import { useLayoutEffect, useRef } from "preact/hooks";

/** Colours that are told apart in both themes; with more workers they begin again, and the letters do not. */
const COLOURS = [4, 2, 5, 6, 3, 1] as const;

/** A, B, … Z, AA, AB, … */
export function letterOf(at: number): string {
  const last = String.fromCharCode(65 + (at % 26));
  return at < 26 ? last : letterOf(Math.floor(at / 26) - 1) + last;
}

export function colourOf(at: number): string {
  return `var(--ansi-${COLOURS[at % COLOURS.length]})`;
}

export function Letter({ at }: { at: number }) {
  const element = useRef<HTMLSpanElement>(null);
  // Not by a `style` attribute, which the page's policy forbids.
  useLayoutEffect(() => element.current?.style.setProperty("--worker", colourOf(at)), [at]);
  return (
    <span class="letter" ref={element}>
      {letterOf(at)}
    </span>
  );
}
