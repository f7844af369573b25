/** The lines that are chosen, and what can be done with them. */

import { notice } from "../notices";
import { workerHref } from "../route";
import { useCell } from "../store";
import { reasonOf } from "../troubles";
import { formatRange, textOf } from "./copy";
import { type Entry, entryOf, readLines } from "./line";
import { lineStream } from "./lines";
import type { Texts } from "./messages";
import type { Range } from "./rows";
import { cut, type Stretch } from "./stretch";
import { Sign, Tool } from "./Tool";
import type { View } from "./view";

/** Lines that are copied at once: more than that is a download. */
const MOST_LINES = 100_000;

interface Props {
  view: View;
  words: Texts;
  range: Range;
  clear: () => void;
}

export function Chosen({ view, words, range, clear }: Props) {
  const extending = useCell(view.choice.extending);
  const extend = () => {
    view.choice.extending.set(!extending);
    if (!extending) notice(words.extendHow);
  };
  return (
    <fieldset class="log-chosen" aria-label={words.selection(...range)} data-log="chosen">
      <span class="number">{words.selection(...range)}</span>
      <Tool name="extend" title={words.extendTitle} hint="J, K" look="" on={extending} press={extend}>
        {words.extend}
      </Tool>
      <Tool name="copy-link" title={words.keyLink} hint="y" look="" press={() => copyLink(view, words, range)}>
        {words.copyLink}
      </Tool>
      <Tool name="copy-text" title={words.keyCopy} hint="c" look="" press={() => copyText(view, words, range)}>
        {words.copyText}
      </Tool>
      <Sign name="clear" title={words.clearSelection} hint="Esc" press={clear}>
        ×
      </Sign>
    </fieldset>
  );
}

let latest = 0;

/** Something is to be copied; whether it still is, and nothing else was asked for meanwhile. */
export function beginCopy(): () => boolean {
  latest += 1;
  const own = latest;
  return () => own === latest;
}

export function copyLink(view: View, words: Texts, range: Range): void {
  beginCopy();
  const { origin, pathname } = location;
  void copy(`${origin}${pathname}${workerHref(view.log.name)}#${formatRange(range)}`, words.linkCopied, words);
}

export function copyText(view: View, words: Texts, range: Range): void {
  const { end, worker } = view.log;
  // A link may have named what is not there.
  if (range[0] > end) {
    notice(words.beyondEnd(range[0], end, worker?.state === "open"));
    return;
  }
  const copied = (entries: Entry[]) => copy(textOf(entries), toldOf(view, words, range, entries.length), words);
  copyLines(view, range, copied);
}

/** What is selected beyond what is drawn, of the lines that are shown. */
export function copyStretch(view: View, words: Texts, stretch: Stretch): void {
  const range: Range = [stretch.first.sequence, stretch.last.sequence];
  const copied = (all: Entry[]) => {
    const entries = all.filter(({ sequence }) => !view.log.rows.isHidden(sequence));
    const text = textOf(cut(entries, stretch)).replace(/\n$/, "");
    return copy(text, toldOf(view, words, range, entries.length), words);
  };
  copyLines(view, range, copied);
}

/** Has a range copied once its lines are here, unless something else is to be copied by then. */
function copyLines(view: View, range: Range, copied: (entries: Entry[]) => Promise<void>): void {
  const isWanted = beginCopy();
  linesOf(view, range).then(
    (entries) => (isWanted() ? copied(entries) : undefined),
    (error: unknown) => isWanted() && notice(reasonOf(error)),
  );
}

/** The last line of a range that is copied. */
function lastCopied(view: View, [first, last]: Range): number {
  return Math.min(last, view.log.end, first + MOST_LINES - 1);
}

/** What is said of a copy: also where it is not all of it. */
function toldOf(view: View, words: Texts, range: Range, lines: number): string {
  const last = lastCopied(view, range);
  return last < Math.min(range[1], view.log.end) ? words.textCopiedPart(lines, last) : words.textCopied(lines);
}

/** The lines of a range, from the server where they are not all at hand. */
async function linesOf(view: View, range: Range): Promise<Entry[]> {
  const [[first], to] = [range, lastCopied(view, range)];
  const entries: Entry[] = [];
  const body = await lineStream(view.log.name, first, to - first + 1, new AbortController().signal);
  await readLines(body, (value) => {
    const entry = entryOf(value, Number.POSITIVE_INFINITY);
    if (entry.sequence <= to) entries.push(entry);
    return entry.sequence < to;
  });
  return entries;
}

async function copy(text: string, done: string, words: Texts): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notice(done);
  } catch {
    notice(copiedByHand(text) ? done : words.copyFailed);
  }
}

/** Pages without TLS have no clipboard of their own; a field that is selected can still be copied. */
function copiedByHand(text: string): boolean {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}
