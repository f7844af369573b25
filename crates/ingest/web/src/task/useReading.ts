/** A task's lines as somebody reads them by time: followed at the end, in their place elsewhere, earlier ones as he comes there. */

import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useUnpressed } from "../unpressed";
import { chosenLine } from "./chosenLine";
import { scrolledBy, scrollToEnd, useKeptPlace } from "./keptPlace";
import { type Held, TaskLog } from "./TaskLog";

/** So near to an end counts as at it. */
const NEAR = 40;

export function useReading(task: string, scroller: RefObject<HTMLElement | null>) {
  const [latest, setHeld] = useState<Held | null>(null);
  const held = useUnpressed(".timeline-row", latest);
  const log = useRef<TaskLog | null>(null);
  const kept = useKeptPlace(scroller, held);
  /** Who reads what was before is not to be carried off to the end. */
  const follow = (follows: boolean) => {
    kept.current.isAtEnd = log.current?.follow(follows) ?? follows;
  };
  const earlier = () => {
    const { current } = log;
    if (!current?.hasEarlier) return;
    follow(false);
    void current.loadEarlier();
  };
  const scrolled = () => {
    const element = scroller.current;
    if (!element) return;
    const by = scrolledBy(element, kept.current);
    if (by === 0) return;
    const left = element.scrollHeight - element.clientHeight - element.scrollTop;
    // Whoever goes up wants to stay, and whoever chooses a line there is not carried off by those that come.
    follow(by > 0 && left < NEAR && chosenLine(element) === null);
    if (element.scrollTop < NEAR && !kept.current.isAtEnd) earlier();
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: `scrolled` is the same each time.
  useEffect(() => {
    const made = new TaskLog(task, (held) => {
      setHeld(held);
      // Before that is drawn: where the person has scrolled to means what was there.
      scrolled();
    });
    log.current = made;
    return () => made.close();
  }, [task]);
  const toEnd = () => {
    log.current?.toEnd();
    kept.current.isAtEnd = true;
    const element = scroller.current;
    if (!element) return;
    if (chosenLine(element)) element.focus();
    scrollToEnd(element);
  };
  /** By a key: noted at once, as what is drawn next would undo it. */
  const go = (scroll: (element: HTMLElement) => void) => {
    if (scroller.current) scroll(scroller.current);
    scrolled();
  };
  return { held, follow, earlier, scrolled, toEnd, go };
}
