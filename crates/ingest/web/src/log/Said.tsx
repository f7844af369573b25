/**
 * What a screen reader is told: that lines have come, and how the connection stands. The log itself stays silent, and
 * this speaks every few seconds at most, whatever the pace of the log.
 */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Texts } from "./messages";
import type { View } from "./view";

const EVERY_MS = 5_000;

export function Said({ view, words }: { view: View; words: Texts }) {
  const [said, say] = useState("");
  const told = useRef({ end: 0, connection: view.log.connection });
  useEffect(() => {
    const timer = setInterval(() => {
      const { end, connection } = view.log;
      const before = told.current;
      told.current = { end, connection };
      if (connection !== before.connection) say(words.connections[connection]);
      else if (before.end > 0 && end > before.end) say(words.newLines(end - before.end));
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [view, words]);
  return (
    <p class="unseen" role="status" data-log="said">
      {said}
    </p>
  );
}
