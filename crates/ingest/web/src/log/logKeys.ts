/** The keys of a log. */

import { type Binding, useKeys } from "../keys";
import { notice } from "../notices";
import { copyLink, copyText } from "./Chosen";
import { step } from "./Find";
import { SOURCES } from "./line";
import { LINE_HEIGHT } from "./list";
import type { Texts } from "./messages";
import type { Range } from "./rows";
import * as settings from "./settings";
import { next, TIMES } from "./time";
import type { View } from "./view";

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
  useKeys(words.keys, bindings, active && view !== null);
}

function searching({ words, setFinding }: Parts, view: View): Binding[] {
  const find = () => {
    setFinding(true);
    view.scroller.element.closest(".log")?.querySelector<HTMLInputElement>(".log-find input")?.select();
  };
  return [
    { keys: ["/"], label: words.keyFind, run: find },
    { keys: ["n"], label: words.keyNext, run: () => step(view, words, true) },
    { keys: ["N"], label: words.keyPrevious, run: () => step(view, words, false) },
  ];
}

function moving({ words }: Parts, view: View): Binding[] {
  const group = (forward: boolean) => () => {
    if (!view.toGroup(forward)) notice(words.noGroup);
  };
  const page = () => Math.max(1, view.scroller.page - 2) * LINE_HEIGHT;
  const failure = () => {
    if (!view.toFailure()) notice(view.log.outline?.first_failure === null ? words.noFailureAtAll : words.noFailure);
  };
  return [
    { keys: ["g", "Home"], label: words.keyStart, run: () => view.toStart() },
    { keys: ["G", "End"], label: words.keyEnd, run: () => view.toEnd() },
    { keys: ["PageDown", " "], label: words.pageDown, run: () => view.scroller.by(page()) },
    { keys: ["PageUp"], label: words.pageUp, run: () => view.scroller.by(-page()) },
    { keys: ["ArrowDown"], label: words.lineDown, run: () => view.scroller.by(2 * LINE_HEIGHT) },
    { keys: ["ArrowUp"], label: words.lineUp, run: () => view.scroller.by(-2 * LINE_HEIGHT) },
    { keys: ["f"], label: words.keyFollow, run: () => (view.follow ? view.setFollow(false) : view.toEnd()) },
    { keys: ["e"], label: words.keyFailure, run: failure },
    { keys: ["["], label: words.keyGroupPrevious, run: group(false) },
    { keys: ["]"], label: words.keyGroupNext, run: group(true) },
    { keys: ["x"], label: words.keyFold, run: () => view.fold(view.log.groups.containing(view.here)) },
  ];
}

function showing(view: View, words: Texts): Binding[] {
  const labels = { stdout: words.keyStdout, stderr: words.keyStderr, system: words.keySystem };
  return [
    { keys: ["w"], label: words.keyWrap, run: () => settings.wraps.set(settings.wraps.value === "on" ? "off" : "on") },
    { keys: ["t"], label: words.keyTimes, run: () => settings.times.set(next(TIMES, settings.times.value)) },
    {
      keys: ["U"],
      label: words.keyZone,
      run: () => settings.zone.set(settings.zone.value === "utc" ? "local" : "utc"),
    },
    ...SOURCES.map((source, at) => ({
      keys: [String(at + 1)],
      label: labels[source],
      run: () => view.toggleSource(source),
    })),
  ];
}

function choosing({ words, finding, setFinding, setRange }: Parts, view: View): Binding[] {
  const chosen = (): Range => view.chosen ?? [view.here, view.here];
  const choose = (by: number, extend: boolean) => () => {
    const line = view.neighbour(by);
    setRange(view.choose(line, extend));
    view.toLine(line, "nearest");
  };
  const leave = () => {
    if (finding) setFinding(false);
    else setRange(null);
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
