/** Search in the whole log, on the server: what to look for, how much there is of it, and the way through it. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SearchQuery } from "../api";
import { notice } from "../notices";
import { reasonOf } from "../troubles";
import type { Texts } from "./messages";
import { Sign } from "./Tool";
import type { View } from "./view";

/** How long the person must pause in writing before the server is asked. */
const PAUSE_MS = 200;

/** What the server takes at most, which counts bytes: 333 Korean syllables. */
const MOST_BYTES = 1_000;

interface Props {
  view: View;
  words: Texts;
  close: () => void;
}

export function Find({ view, words, close }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [matchCase, setCase] = useState(false);
  const [regex, setRegex] = useState(false);
  /** Where the person was when he began to write, or has gone to since, by himself. */
  const from = useRef(standing(view));
  const stand = () => {
    from.current = standing(view, from.current);
  };
  useLayoutEffect(() => {
    field.current?.focus();
    return () => view.find(null, null);
  }, [view]);
  // Ended with the search: other effects are only some time after.
  useLayoutEffect(() => {
    if (text === "") return view.find(null, null);
    const query: SearchQuery = { q: text, case: matchCase, regex };
    from.current = standing(view, from.current);
    // Whoever has gone elsewhere since is not led from there.
    const find = () => view.find(query, view.touches === from.current.touches ? from.current.line : null);
    const timer = setTimeout(find, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [view, text, matchCase, regex]);
  const go = (forward: boolean) => {
    step(view, words, forward);
    stand();
  };
  const leave = () => {
    close();
    view.scroller.element.focus({ preventScroll: true });
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") leave();
    else go(!event.shiftKey);
  };
  return (
    <search class="log-find">
      <input
        ref={field}
        class="field"
        type="search"
        data-log="find-field"
        aria-label={words.findLabel}
        placeholder={words.findLabel}
        spellcheck={false}
        autocomplete="off"
        value={text}
        onInput={({ currentTarget }) => {
          const fits = fitting(currentTarget.value);
          if (fits !== currentTarget.value) currentTarget.value = fits;
          setText(fits);
        }}
        onFocus={stand}
        onKeyDown={onKey}
      />
      <Sign name="find-case" title={words.findCase} on={matchCase} press={() => setCase(!matchCase)}>
        <span class="mono">Aa</span>
      </Sign>
      <Sign name="find-regex" title={words.findRegex} on={regex} press={() => setRegex(!regex)}>
        <span class="mono">.*</span>
      </Sign>
      <Count view={view} words={words} />
      <Sign name="find-previous" title={words.findPrevious} hint="N" press={() => go(false)}>
        ↑
      </Sign>
      <Sign name="find-next" title={words.findNext} hint="n" press={() => go(true)}>
        ↓
      </Sign>
      <Sign name="find-close" title={words.findClose} hint="Esc" press={leave}>
        ×
      </Sign>
    </search>
  );
}

interface Standing {
  readonly line: number;
  /** How often the person had gone anywhere until then. */
  readonly touches: number;
}

/** Where a person is; the same as before where only searches have led him, who follows nothing then. */
function standing({ steps, touches, follow }: View, before?: Standing): Standing {
  return before?.touches === touches && !follow ? before : { line: steps.here, touches };
}

/** As much of a text as the server takes, in whole characters. */
function fitting(text: string): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(MOST_BYTES)).read);
}

/** Goes to the next match or the previous one, and says so where it goes on from the other end. */
export function step(view: View, words: Texts, forward: boolean): void {
  view.scroller.drawDue();
  const match = view.toHit(forward);
  if (match) view.aloud.set(match.line);
  if (match?.wrapped) notice(words.findWrapped);
  if (!match && view.log.search && !view.log.search.busy) notice(words.findNone);
}

function Count({ view, words }: { view: View; words: Texts }) {
  const { search } = view.log;
  if (search?.error) {
    return (
      <span class="log-find-error" role="alert" data-log="find-error">
        {reasonOf(search.error)}
      </span>
    );
  }
  const count = search?.hits.count ?? 0;
  const at = view.choice.cursor === null ? 0 : (search?.hits.ordinal(view.choice.cursor) ?? 0);
  const told =
    count > 0
      ? words.findCount(at, count, search?.full || search?.busy || false)
      : search?.busy
        ? words.findBusy
        : words.findNone;
  return (
    <span
      class="log-find-count number"
      role="status"
      data-log="find-count"
      data-count={count}
      data-busy={search?.busy ?? false}
    >
      {search ? told : ""}
    </span>
  );
}
