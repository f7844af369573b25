/** What can be done with a log, as buttons; each has a key as well. */

import * as api from "../api";

import { Icon } from "../shell/Icon";
import { useCell } from "../store";
import { SOURCES, type Source } from "./line";
import type { Texts } from "./messages";
import * as settings from "./settings";
import { bytes } from "./size";
import { next, TIMES } from "./time";
import type { View } from "./view";

interface Props {
  view: View;
  words: Texts;
  finding: boolean;
  setFinding: (finding: boolean) => void;
}

export function Tools({ view, words, finding, setFinding }: Props) {
  const open = view.log.worker?.state === "open";
  return (
    <div class="log-tools" role="toolbar" aria-label={words.toolbar}>
      <Toggle name="find" on={finding} press={() => setFinding(!finding)} title={`${words.findLabel} (/)`}>
        {words.find}
      </Toggle>
      {open && (
        <Toggle
          name="follow"
          on={view.follow}
          press={() => (view.follow ? view.setFollow(false) : view.toEnd())}
          title={`${words.keyFollow} (f)`}
        >
          {words.follow}
        </Toggle>
      )}
      <Failure view={view} words={words} />
      <span class="log-space-between" />
      <Streams view={view} words={words} />
      <TimesTools words={words} />
      <Wrap words={words} />
      <Folding view={view} words={words} />
      <a
        class="button quiet icon-button"
        data-log="download"
        href={api.textUrl(view.log.name, { download: true })}
        download={`${view.log.name}.log`}
        title={`${words.downloadTitle} (${bytes(view.log.worker?.bytes ?? 0)})`}
      >
        <Icon of="down" />
        <span class="unseen">{words.download}</span>
      </a>
    </div>
  );
}

interface ToggleProps {
  name: string;
  on: boolean;
  press: () => void;
  title: string;
  children: string;
}

function Toggle({ name, on, press, title, children }: ToggleProps) {
  return (
    <button type="button" class="button quiet" data-log={name} aria-pressed={on} title={title} onClick={press}>
      {children}
    </button>
  );
}

function Failure({ view, words }: { view: View; words: Texts }) {
  const first = view.log.firstFailure;
  if (first === null) return null;
  const go = () => {
    view.toLine(first);
    view.choice.cursor = first;
  };
  return (
    <button
      type="button"
      class="button quiet log-failure"
      data-log="failure"
      title={`${words.keyFailure} (e)`}
      onClick={go}
    >
      {words.failure}
    </button>
  );
}

function Streams({ view, words }: { view: View; words: Texts }) {
  const counts = view.log.outline?.counts;
  return (
    <fieldset class="log-streams" aria-label={words.streams}>
      {SOURCES.map((source: Source, at) => (
        <button
          type="button"
          key={source}
          class={`button quiet log-stream-${source}`}
          data-log={`stream-${source}`}
          aria-pressed={view.log.filter.shown.has(source)}
          title={`${words.streamsTitle(source)}${counts ? `: ${words.lines(counts[source] ?? 0)}` : ""} (${at + 1})`}
          onClick={() => view.toggleSource(source)}
        >
          {source}
        </button>
      ))}
    </fieldset>
  );
}

function TimesTools({ words }: { words: Texts }) {
  const times = useCell(settings.times);
  const zone = useCell(settings.zone);
  return (
    <>
      <button
        type="button"
        class="button quiet"
        data-log="times"
        data-value={times}
        title={`${words.keyTimes} (t)`}
        onClick={() => settings.times.set(next(TIMES, times))}
      >
        {words.timesNames[times]}
      </button>
      {times === "absolute" && (
        <button
          type="button"
          class="button quiet"
          data-log="zone"
          aria-pressed={zone === "utc"}
          title={`${words.zoneTitle} (U)`}
          onClick={settings.turnZone}
        >
          {words.zones.utc}
        </button>
      )}
    </>
  );
}

function Wrap({ words }: { words: Texts }) {
  const wrap = useCell(settings.wraps);
  return (
    <Toggle name="wrap" on={wrap === "on"} press={settings.turnWrap} title={`${words.wrapTitle} (w)`}>
      {words.wrap}
    </Toggle>
  );
}

function Folding({ view, words }: { view: View; words: Texts }) {
  if (view.log.groups.count === 0) return null;
  const folded = view.log.groups.anyFolded;
  return (
    <button
      type="button"
      class="button quiet"
      data-log="fold-all"
      onClick={() => view.foldAll(!view.log.groups.anyFolded)}
    >
      {folded ? words.unfoldAll : words.foldAll}
    </button>
  );
}
