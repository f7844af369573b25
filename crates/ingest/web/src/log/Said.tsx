/**
 * What a screen reader is told: that lines have come, how the connection stands, and which line a key went to. The log
 * itself stays silent, and of new lines this speaks ever less, whatever the pace of the log.
 */

import { useEffect, useRef, useState } from "preact/hooks";
import { useCell } from "../store";
import type { Texts } from "./messages";
import { Pace } from "./pace";
import { type Gone, spoken } from "./spoken";
import type { View } from "./view";

const LOOK_MS = 5_000;
/** A line that a key went to may have to come yet. */
const AWAIT_MS = 200;

export function Said({ view, words }: { view: View; words: Texts }) {
  const [said, say] = useState("");
  const before = useRef(view.log.connection);
  const pace = useRef(new Pace());
  useEffect(() => {
    const timer = setInterval(() => {
      const { rows, connection } = view.log;
      const fresh = pace.current.look(rows, performance.now());
      if (connection !== before.current) say(words.connections[connection]);
      else if (fresh > 0) say(words.newLines(fresh));
      before.current = connection;
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [view, words]);
  const line = useSpoken(view, words);
  return (
    <>
      <p class="unseen" role="status" data-log="said">
        {said}
      </p>
      <p class="unseen" role="status" data-log="said-line">
        {line}
      </p>
    </>
  );
}

function useSpoken(view: View, words: Texts): string {
  const line = useCell(view.aloud);
  const [, look] = useState(0);
  const text = line === null ? "" : spoken(goneTo(view, line), words, view.around.reason);
  const isAwaited = line !== null && text === "";
  useEffect(() => {
    if (!isAwaited) return;
    const timer = setInterval(() => look((count) => count + 1), AWAIT_MS);
    return () => clearInterval(timer);
  }, [isAwaited]);
  return text;
}

function goneTo({ log, choice }: View, sequence: number): Gone {
  const group = log.groups.startingAt(sequence);
  const folded = group !== undefined && log.groups.isFolded(group);
  return {
    entry: log.get(sequence),
    mark: log.markOf(sequence),
    group,
    folded,
    chosen: choice.has(sequence) ? choice.range : null,
  };
}
