/** Search in the whole log, on the server: what to look for, how much there is of it, and the way through it. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SearchQuery } from "../api";
import { notice } from "../notices";
import { reasonOf } from "../troubles";
import type { Texts } from "./messages";
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
  const from = useRef(view.steps.here);
  useLayoutEffect(() => {
    field.current?.focus();
    return () => view.find(null, null);
  }, [view]);
  // Ended with the search: other effects are only some time after.
  useLayoutEffect(() => {
    if (text === "") return view.find(null, null);
    const query: SearchQuery = { q: text, case: matchCase, regex };
    const { touches } = view;
    // Whoever has gone elsewhere since is not led from there.
    const find = () => view.find(query, view.touches === touches ? from.current : null);
    const timer = setTimeout(find, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [view, text, matchCase, regex]);
  const leave = () => {
    close();
    view.scroller.element.focus({ preventScroll: true });
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") leave();
    else step(view, words, !event.shiftKey);
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
        onKeyDown={onKey}
      />
      <Choice name="find-case" on={matchCase} set={setCase} title={words.findCase} sign="Aa" />
      <Choice name="find-regex" on={regex} set={setRegex} title={words.findRegex} sign=".*" />
      <Count view={view} words={words} />
      <button
        type="button"
        class="button quiet icon-button"
        data-log="find-previous"
        title={`${words.findPrevious} (N)`}
        onClick={() => step(view, words, false)}
      >
        <span aria-hidden="true">↑</span>
        <span class="unseen">{words.findPrevious}</span>
      </button>
      <button
        type="button"
        class="button quiet icon-button"
        data-log="find-next"
        title={`${words.findNext} (n)`}
        onClick={() => step(view, words, true)}
      >
        <span aria-hidden="true">↓</span>
        <span class="unseen">{words.findNext}</span>
      </button>
      <button
        type="button"
        class="button quiet icon-button"
        data-log="find-close"
        title={`${words.findClose} (Esc)`}
        onClick={leave}
      >
        <span aria-hidden="true">×</span>
        <span class="unseen">{words.findClose}</span>
      </button>
    </search>
  );
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

interface ChoiceProps {
  name: string;
  on: boolean;
  set: (on: boolean) => void;
  title: string;
  sign: string;
}

function Choice({ name, on, set, title, sign }: ChoiceProps) {
  return (
    <button
      type="button"
      class="button quiet icon-button"
      data-log={name}
      aria-pressed={on}
      title={title}
      onClick={() => set(!on)}
    >
      <span aria-hidden="true" class="mono">
        {sign}
      </span>
      <span class="unseen">{title}</span>
    </button>
  );
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
