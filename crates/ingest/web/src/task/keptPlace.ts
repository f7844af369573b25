/** Where a timeline is scrolled to, which lines that come and go before it do not change. */

import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { moveFrom } from "../log/bar";
import type { Held } from "./TaskLog";

/** What a hand scrolls at least, in pixels, on a page that is zoomed. Each line that comes undoes what was not seen. */
const LEAST = 0.1;

interface Kept {
  isAtEnd: boolean;
  /** Where it was scrolled to last. */
  top: number;
}

/** Keeps what is looked at in its place when lines come before it, and the end in sight when they come behind or the window shrinks. */
export function useKeptPlace(scroller: RefObject<HTMLElement | null>, held: Held | null): { current: Kept } {
  const kept = useRef<Kept>({ isAtEnd: true, top: 0 });
  const before = useRef<{ first: number; top: number } | null>(null);
  const first = held?.timeline.pieces[0]?.key;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else is drawn anew moves nothing, nor has it seen a scroll.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const topOf = (key: number) => element.querySelector<HTMLElement>(`[data-piece="${key}"]`)?.offsetTop;
    // Not by the height of all: while lines come at one end, others go at the other.
    const moved = before.current && topOf(before.current.first);
    if (kept.current.isAtEnd) scrollToEnd(element);
    else if (before.current && moved != null) element.scrollTop += moved - before.current.top;
    before.current = first === undefined ? null : { first, top: topOf(first) ?? 0 };
    kept.current.top = element.scrollTop;
  }, [held]);
  const isThere = held !== null;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !isThere) return;
    const resized = new ResizeObserver(() => {
      if (kept.current.isAtEnd) kept.current.top = scrollToEnd(element);
    });
    resized.observe(element);
    return () => resized.disconnect();
  }, [scroller, isThere]);
  return kept;
}

/** Scrolls to the end; where that is. */
export function scrollToEnd(element: HTMLElement): number {
  element.scrollTop = element.scrollHeight;
  return element.scrollTop;
}

/** By how much a person has scrolled, and not the page, nor the browser where there is less to scroll to. */
export function scrolledBy(element: HTMLElement, kept: Kept): number {
  const { from, to } = moveFrom(kept.top, element, LEAST);
  kept.top = to;
  return to - from;
}
