/** The keys of a log. */

import { type Binding, useKeys } from "../keys";
import { notice } from "../notices";
import { copyLink, copyText } from "./Chosen";
import { step } from "./Find";
import { SOURCES } from "./line";
import type { Texts } from "./messages";
import type { Range } from "./rows";
import { scrollKeys } from "./scrollKeys";
import * as settings from "./settings";
import { next, TIMES } from "./time";
import type { View } from "./view";

/** To the side, as by the browser's own keys, in pixels. */
const SIDEWAYS = 40;

interface Parts {
  view: View | null;
  words: Texts;
  active: boolean;
  finding: boolean;
  setFinding: (finding: boolean) => void;
  setRange: (range: Range | null) => void;
}

export function useLogKeys(parts: Parts): void {
  const { view, words, active } = parts;
  const bindings = view
    ? [...searching(parts, view), ...moving(parts, view), ...showing(view, words), ...choosing(parts, view)]
    : [];
  const upToDate = bindings.map((binding) => ({ ...binding, run: drawnFirst(view, binding) }));
  useKeys(words.keys, upToDate, active && view !== null);
}

/** Keys come faster than frames, and mean what the key before has asked for. */
function drawnFirst(view: View | null, { run }: Binding): Binding["run"] {
  return (event) => {
    view?.scroller.drawDue();
    run(event);
  };
}

function searching({ words, setFinding }: Parts, view: View): Binding[] {
  const find = () => {
    setFinding(true);
    view.scroller.element.closest(".log")?.querySelector<HTMLInputElement>(".log-find input")?.select();
  };
  return [
    { keys: ["/"], label: words.find, run: find },
    { keys: ["n"], label: words.findNext, run: () => step(view, words, true) },
    { keys: ["N"], label: words.findPrevious, run: () => step(view, words, false) },
  ];
}

function moving({ words }: Parts, view: View): Binding[] {
  const group = (forward: boolean) => () => {
    if (view.toGroup(forward)) view.aloud.set(view.choice.cursor);
    else notice(view.log.outline ? words.noGroup : words.notKnownYet);
  };
  const { scroller } = view;
  const distances = () => {
    const { page, lineHeight } = scroller;
    return { page: Math.max(1, page - 2) * lineHeight, lines: 2 * lineHeight };
  };
  // What scrolls to the side is within what has the focus: the browser's own keys do not reach it.
  const sideways = (by: number) => (event: KeyboardEvent) =>
    scroller.sideways(by * (event.shiftKey ? 0.8 * scroller.element.clientWidth : SIDEWAYS));
  const failure = () => {
    if (view.toFailure()) view.aloud.set(view.choice.cursor);
    else if (!view.log.outline) notice(words.notKnownYet);
    else notice(view.log.outline.first_failure === null ? words.noFailureAtAll : words.noFailure);
  };
  const fold = () => {
    const group = view.log.groups.containing(view.steps.here);
    if (group && view.fold(group)) view.aloud.set(group.first);
  };
  return [
    { keys: ["g", "Home"], label: words.keyStart, run: () => view.toStart() },
    { keys: ["G", "End"], label: words.keyEnd, run: () => view.toEnd() },
    ...scrollKeys(words, distances, (pixels) => scroller.by(pixels)),
    { keys: ["ArrowRight"], label: words.right, run: sideways(1) },
    { keys: ["ArrowLeft"], label: words.left, run: sideways(-1) },
    { keys: ["f"], label: words.keyFollow, run: () => (view.follow ? view.setFollow(false) : view.toEnd()) },
    { keys: ["e"], label: words.keyFailure, run: failure },
    { keys: ["["], label: words.keyGroupPrevious, run: group(false) },
    { keys: ["]"], label: words.keyGroupNext, run: group(true) },
    { keys: ["x"], label: words.keyFold, run: fold },
  ];
}

function showing(view: View, words: Texts): Binding[] {
  const labels = { stdout: words.keyStdout, stderr: words.keyStderr, system: words.keySystem };
  return [
    { keys: ["w"], label: words.wrapTitle, run: settings.turnWrap },
    { keys: ["t"], label: words.keyTimes, run: () => settings.times.set(next(TIMES, settings.times.value)) },
    { keys: ["U"], label: words.keyZone, run: settings.turnZone },
    ...SOURCES.map((source, at) => ({
      keys: [String(at + 1)],
      label: labels[source],
      run: () => view.toggleSource(source),
    })),
  ];
}

function choosing({ words, finding, setFinding, setRange }: Parts, view: View): Binding[] {
  const chosen = (): Range => view.choice.range ?? [view.steps.here, view.steps.here];
  const choose = (by: number, extend: boolean) => () => {
    const line = view.steps.neighbour(by, extend);
    if (line === null) return;
    setRange(view.choose(line, extend));
    view.aloud.set(line);
    view.toLine(line, "nearest");
  };
  const leave = () => {
    if (!finding) return setRange(null);
    setFinding(false);
    // What had it may be gone with the search.
    view.scroller.element.focus({ preventScroll: true });
  };
  return [
    { keys: ["j"], label: words.keyDown, run: choose(1, false) },
    { keys: ["k"], label: words.keyUp, run: choose(-1, false) },
    { keys: ["J"], label: words.keyExtend, run: choose(1, true) },
    { keys: ["K"], label: words.keyExtend, run: choose(-1, true) },
    { keys: ["y"], label: words.keyLink, run: () => copyLink(view, words, chosen()) },
    { keys: ["c"], label: words.keyCopy, run: () => copyText(view, words, chosen()) },
    { keys: ["Escape"], label: words.keyEscape, run: leave },
  ];
}
