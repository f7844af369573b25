/** The lines of all workers of a task in order of time. */

import { useRef } from "preact/hooks";
import type { Task } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { messages } from "../log/messages";
import { scrollKeys } from "../log/scrollKeys";
import { turnZone } from "../log/settings";
import { Banner } from "../shell/Trouble";
import { text } from "../text";
import { chooseLine, chosenLine } from "./chosenLine";
import type { Held } from "./TaskLog";
import { TimelinePiece } from "./TimelinePiece";
import { beginningOf, size } from "./timeline";
import { useReading } from "./useReading";
import "./bytime.css";

/** Of the window, and in pixels, as by the browser's own keys. */
const PAGE = 0.875;
const LINES = 40;

export function ByTime({ task }: { task: Task }) {
  const words = useText(text);
  const ofLog = useText(messages);
  const scroller = useRef<HTMLDivElement>(null);
  const { held, follow, earlier, scrolled, toEnd, go } = useReading(task.task_id, scroller);
  const distances = () => ({ page: PAGE * (scroller.current?.clientHeight ?? 0), lines: LINES });
  const toStart = () => go((element) => element.scrollTo(0, 0));
  const choose = (by: number) => () => {
    if (scroller.current && chooseLine(scroller.current, by)) follow(false);
  };
  useKeys(words.asTime, [
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
