/** What can be done with a log, as buttons; each has a key as well. */

import * as api from "../api";
import { Icon } from "../shell/Icon";
import { useCell } from "../store";
import { SOURCES, type Source } from "./line";
import type { Texts } from "./messages";
import * as settings from "./settings";
import { bytes } from "./size";
import { Tool } from "./Tool";
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
      <Tool name="find" title={words.findLabel} hint="/" on={finding} press={() => setFinding(!finding)}>
        {words.find}
      </Tool>
      {open && (
        <Tool
          name="follow"
          title={words.keyFollow}
          hint="f"
          on={view.follow}
          press={() => (view.follow ? view.setFollow(false) : view.toEnd())}
        >
          {words.follow}
        </Tool>
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

function Failure({ view, words }: { view: View; words: Texts }) {
  const first = view.log.firstFailure;
  if (first === null) return null;
  const go = () => {
    view.toLine(first);
    view.choice.cursor = first;
  };
  return (
    <Tool name="failure" title={words.keyFailure} hint="e" look="quiet log-failure" press={go}>
      {words.failure}
    </Tool>
  );
}

function Streams({ view, words }: { view: View; words: Texts }) {
  const counts = view.log.outline?.counts;
  return (
    <fieldset class="log-streams" aria-label={words.streams}>
      {SOURCES.map((source: Source, at) => (
        <Tool
          key={source}
          name={`stream-${source}`}
          title={`${words.streamsTitle(source)}${counts ? `: ${words.lines(counts[source] ?? 0)}` : ""}`}
          hint={at + 1}
          look={`quiet log-stream-${source}`}
          on={view.log.filter.shown.has(source)}
          press={() => view.toggleSource(source)}
        >
          {source}
        </Tool>
      ))}
    </fieldset>
  );
}

function TimesTools({ words }: { words: Texts }) {
  const times = useCell(settings.times);
  const zone = useCell(settings.zone);
  return (
    <>
      <Tool name="times" title={words.keyTimes} hint="t" press={() => settings.times.set(next(TIMES, times))}>
        {words.timesNames[times]}
      </Tool>
      {times === "absolute" && (
        <Tool name="zone" title={words.zoneTitle} hint="U" on={zone === "utc"} press={settings.turnZone}>
          UTC
        </Tool>
      )}
    </>
  );
}

function Wrap({ words }: { words: Texts }) {
  const wrap = useCell(settings.wraps);
  return (
    <Tool name="wrap" title={words.wrapTitle} hint="w" on={wrap === "on"} press={settings.turnWrap}>
      {words.wrap}
    </Tool>
  );
}

function Folding({ view, words }: { view: View; words: Texts }) {
  if (view.log.groups.count === 0) return null;
  const folded = view.log.groups.anyFolded;
  return (
    <Tool name="fold-all" press={() => view.foldAll(!view.log.groups.anyFolded)}>
      {folded ? words.unfoldAll : words.foldAll}
    </Tool>
  );
}
