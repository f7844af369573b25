/** Some lines of several workers. Drawn again only when the piece grows. */

import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { TaskLine, TextLine, WorkerState } from "../api";
import { useText } from "../i18n";
import { PLAIN, type Style } from "../log/ansi";
import { overwritten } from "../log/carriage";
import { draw } from "../log/paint";
import * as settings from "../log/settings";
import { beginning } from "../log/text";
import { clock, full, type Zone } from "../log/time";
import { useReason } from "../reasons";
import { lineHref } from "../route";
import { useCell } from "../store";
import { text } from "../text";
import { Letter } from "./Letter";
import type { Piece } from "./timeline";

/** Characters of a line that are shown here; its own log has all of it. */
const SHOWN_CHARACTERS = 2_000;

export function TimelinePiece({ piece, workers }: { piece: Piece; workers: readonly WorkerState[] }) {
  const zone = useCell(settings.zone);
  const places = workers.map(({ worker_id }) => worker_id).join("\n");
  // The same nodes are not looked at again: the state of workers changes often, and what is here does not.
  return useMemo(() => {
    const names = places.split("\n");
    return (
      <ol class="timeline-piece" data-piece={piece.key}>
        {piece.lines.map((line, at) => (
          <TimelineRow
            key={`${line.worker_id} ${line.sequence}`}
            line={line}
            style={piece.styles[at] ?? PLAIN}
            zone={zone}
            at={names.indexOf(line.worker_id)}
          />
        ))}
      </ol>
    );
  }, [piece, places, zone]);
}

interface RowProps {
  line: TaskLine;
  style: Style;
  zone: Zone;
  at: number;
}

function TimelineRow({ line, style, zone, at }: RowProps) {
  const { worker_id, sequence } = line;
  const kind = line.gap ? "gap" : line.source;
  return (
    <li
      class={`timeline-row ${kind === "stderr" || kind === "system" || kind === "gap" ? kind : ""}`}
      title={worker_id}
    >
      {at < 0 ? <span class="letter">?</span> : <Letter at={at} />}
      <a class="timeline-number" href={lineHref(worker_id, sequence)} tabIndex={-1}>
        {sequence}
      </a>
      {line.gap ? <GapText sequence={sequence} gap={line.gap} /> : <Text line={line} style={style} zone={zone} />}
    </li>
  );
}

function GapText({ sequence, gap }: { sequence: number; gap: { last_sequence: number; reason: string } }) {
  const words = useText(text);
  const reason = useReason()(gap.reason);
  const isOne = gap.last_sequence === sequence;
  return (
    <span class="timeline-text">
      {isOne
        ? words.missingOne(String(sequence), reason)
        : words.missing(String(sequence), String(gap.last_sequence), reason)}
    </span>
  );
}

function Text({ line, style, zone }: { line: TextLine; style: Style; zone: Zone }) {
  const element = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const { shown } = overwritten(line.message);
    element.current?.replaceChildren();
    if (element.current) draw(element.current, beginning(shown, SHOWN_CHARACTERS), style, null);
  }, [line, style]);
  return (
    <>
      <time class="timeline-time" dateTime={line.timestamp} title={full(line.timestamp, zone)}>
        {clock(Date.parse(line.timestamp), zone)}
      </time>
      <span class="timeline-text" ref={element} />
    </>
  );
}
