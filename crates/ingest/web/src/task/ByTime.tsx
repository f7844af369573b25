/** The lines of all workers of a task in order of time. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Task } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { zone } from "../log/settings";
import { Banner } from "../shell/Trouble";
import { text } from "../text";
import { useUnpressed } from "../unpressed";
import { chooseLine, chosenLine } from "./chosenLine";
import { type Held, TaskLog } from "./TaskLog";
import { TimelinePiece } from "./TimelinePiece";
import { beginningOf, size } from "./timeline";
import "./bytime.css";

/** So near to an end counts as at it. */
const NEAR = 40;

export function ByTime({ task }: { task: Task }) {
  const words = useText(text);
  const [latest, setHeld] = useState<Held | null>(null);
  const held = useUnpressed(".timeline-row", latest);
  const log = useRef<TaskLog | null>(null);
  useEffect(() => {
    const made = new TaskLog(task.task_id, setHeld);
    log.current = made;
    return () => made.close();
  }, [task.task_id]);
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useKeptPlace(scroller, held);
  const toEnd = () => {
    atEnd.current = true;
    log.current?.follow(true);
    if (chosenLine(scroller.current)) scroller.current?.focus();
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  };
  /** Who reads what was before is not to be carried off to the end. */
  const leaveEnd = () => {
    atEnd.current = false;
    log.current?.follow(false);
  };
  const earlier = () => {
    leaveEnd();
    void log.current?.loadEarlier();
  };
  const toStart = () => {
    if ((scroller.current?.scrollTop ?? 0) > 0) leaveEnd();
    scroller.current?.scrollTo(0, 0);
  };
  const choose = (by: number) => () => {
    if (scroller.current && chooseLine(scroller.current, by)) leaveEnd();
  };
  useKeys(words.keysTimeline, [
    { keys: ["G", "f"], label: words.keyEnd, run: toEnd },
    { keys: ["g"], label: words.keyStart, run: toStart },
    { keys: ["e"], label: words.keyEarlier, run: earlier },
    { keys: ["j"], label: words.keyNextLine, run: choose(1) },
    { keys: ["k"], label: words.keyLineBefore, run: choose(-1) },
    { keys: ["Enter"], label: words.keyOpenLine, run: () => chosenLine(scroller.current)?.click() },
    { keys: ["U"], label: words.keyZone, run: () => zone.set(zone.value === "utc" ? "local" : "utc") },
  ]);
  const scrolled = ({ currentTarget: element }: { currentTarget: HTMLDivElement }) => {
    const isNearEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
    // Whoever chooses a line there is not carried off by those that come.
    const isAtEnd = isNearEnd && chosenLine(element) === null;
    if (isAtEnd !== atEnd.current) log.current?.follow(isAtEnd);
    atEnd.current = isAtEnd;
    if (element.scrollTop < NEAR && !isAtEnd) earlier();
  };
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

/** Keeps what is looked at in its place when lines come before it, and the end in sight when they come behind. */
function useKeptPlace(scroller: { current: HTMLDivElement | null }, held: Held | null): { current: boolean } {
  const atEnd = useRef(true);
  const before = useRef<{ first: number; top: number } | null>(null);
  const first = held?.timeline.pieces[0]?.key;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const topOf = (key: number) => element.querySelector<HTMLElement>(`[data-piece="${key}"]`)?.offsetTop;
    // Not by the height of all: while lines come at one end, others go at the other.
    const moved = before.current && topOf(before.current.first);
    if (atEnd.current) element.scrollTop = element.scrollHeight;
    else if (before.current && moved != null) element.scrollTop += moved - before.current.top;
    before.current = first === undefined ? null : { first, top: topOf(first) ?? 0 };
  });
  return atEnd;
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
