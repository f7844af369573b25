/** The lines of all workers of a task in order of time. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Task } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { messages } from "../log/messages";
import { scrollKeys } from "../log/scrollKeys";
import { turnZone } from "../log/settings";
import { Banner } from "../shell/Trouble";
import { text } from "../text";
import { useUnpressed } from "../unpressed";
import { chooseLine, chosenLine } from "./chosenLine";
import { scrolledBy, useKeptPlace } from "./keptPlace";
import { type Held, TaskLog } from "./TaskLog";
import { TimelinePiece } from "./TimelinePiece";
import { beginningOf, size } from "./timeline";
import "./bytime.css";

/** So near to an end counts as at it. */
const NEAR = 40;
/** Of the window, and in pixels, as by the browser's own keys. */
const PAGE = 0.875;
const LINES = 40;

export function ByTime({ task }: { task: Task }) {
  const words = useText(text);
  const ofLog = useText(messages);
  const [latest, setHeld] = useState<Held | null>(null);
  const held = useUnpressed(".timeline-row", latest);
  const log = useRef<TaskLog | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const kept = useKeptPlace(scroller, held);
  /** Who reads what was before is not to be carried off to the end. */
  const follow = (follows: boolean) => {
    kept.current.isAtEnd = log.current?.follow(follows) ?? follows;
  };
  const earlier = () => {
    if (!log.current?.hasEarlier) return;
    follow(false);
    void log.current?.loadEarlier();
  };
  const scrolled = () => {
    const element = scroller.current;
    const by = element ? scrolledBy(element, kept.current) : 0;
    if (!element || by === 0) return;
    const left = element.scrollHeight - element.clientHeight - element.scrollTop;
    // Whoever goes up wants to stay, and whoever chooses a line there is not carried off by those that come.
    follow(by > 0 && left < NEAR && chosenLine(element) === null);
    if (element.scrollTop < NEAR && !kept.current.isAtEnd) earlier();
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: `scrolled` is the same each time.
  useEffect(() => {
    const made = new TaskLog(task.task_id, (held) => {
      setHeld(held);
      // Before that is drawn: where the person has scrolled to means what was there.
      scrolled();
    });
    log.current = made;
    return () => made.close();
  }, [task.task_id]);
  const toEnd = () => {
    log.current?.toEnd();
    kept.current.isAtEnd = true;
    if (chosenLine(scroller.current)) scroller.current?.focus();
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  };
  const distances = () => ({ page: PAGE * (scroller.current?.clientHeight ?? 0), lines: LINES });
  /** By a key: noted at once, as what is drawn next would undo it. */
  const go = (scroll: (element: HTMLElement) => void) => {
    if (scroller.current) scroll(scroller.current);
    scrolled();
  };
  const toStart = () => go((element) => element.scrollTo(0, 0));
  const choose = (by: number) => () => {
    if (scroller.current && chooseLine(scroller.current, by)) follow(false);
  };
  useKeys(words.keysTimeline, [
    { keys: ["G", "f", "End"], label: words.keyEnd, run: toEnd },
    { keys: ["g", "Home"], label: words.keyStart, run: toStart },
    ...scrollKeys(ofLog, distances, (pixels) => go((element) => element.scrollBy(0, pixels))),
    { keys: ["e"], label: words.earlier, run: earlier },
    { keys: ["j"], label: ofLog.keyDown, run: choose(1) },
    { keys: ["k"], label: ofLog.keyUp, run: choose(-1) },
    { keys: ["Enter"], label: words.keyOpenLine, run: () => chosenLine(scroller.current)?.click() },
    { keys: ["U"], label: ofLog.keyZone, run: turnZone },
  ]);
  if (!held) return null;
  const isEmpty = size(held.timeline) === 0 && (held.status === "live" || held.status === "ended");
  return (
    <div class="by-time">
      <Banner error={held.error} />
      <div
        class="timeline"
        ref={scroller}
        onScroll={scrolled}
        role="log"
        aria-live="off"
        aria-label={words.timeline}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must have the focus to be scrolled by keys.
        tabIndex={0}
      >
        <Beginning held={held} onEarlier={earlier} />
        {held.timeline.pieces.map((piece) => (
          <TimelinePiece key={piece.key} piece={piece} workers={task.workers} />
        ))}
        {isEmpty && <p class="note">{words.noLines}</p>}
      </div>
      <Foot held={held} onEnd={toEnd} />
    </div>
  );
}

function Beginning({ held, onEarlier }: { held: Held; onEarlier: () => void }) {
  const words = useText(text);
  if (held.status === "loading") return <p class="timeline-edge loading">{words.loading}</p>;
  if (size(held.timeline) === 0) return null;
  if (beginningOf(held.timeline) === null) return <p class="timeline-edge">{words.beginning}</p>;
  return (
    <p class="timeline-edge">
      <button type="button" class="button" disabled={held.isLoadingEarlier} onClick={onEarlier}>
        {held.isLoadingEarlier ? words.loading : words.earlier}
      </button>
    </p>
  );
}

function Foot({ held, onEnd }: { held: Held; onEnd: () => void }) {
  const words = useText(text);
  const { isCut } = held.timeline;
  const status = {
    loading: words.loading,
    connecting: "",
    live: words.live,
    reconnecting: words.reconnecting,
    ended: words.ended,
    refused: "",
  };
  return (
    <div class="timeline-foot">
      <span class={held.status === "reconnecting" ? "chip warn" : "chip"} role="status">
        {isCut ? words.trimmed : status[held.status]}
      </span>
      {(held.unseen > 0 || isCut) && (
        <button type="button" class="button" onClick={onEnd}>
          {isCut ? words.toEnd : words.newLines(grouped(held.unseen))}
        </button>
      )}
    </div>
  );
}
