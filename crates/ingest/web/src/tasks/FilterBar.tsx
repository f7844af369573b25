/** Search, state and order of the list of tasks. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { taskStates } from "../api";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { go } from "../navigation";
import { Segments } from "../shell/Segments";
import { text } from "../text";
import { changed, type Filter } from "./filter";

/** From the last letter to the search for it. */
const SETTLES_MS = 200;

export function FilterBar({ query, filter }: { query: URLSearchParams; filter: Filter }) {
  const words = useText(text);
  const field = useRef<HTMLInputElement>(null);
  const show = (query: URLSearchParams, how: "push" | "replace" = "push") => go({ view: "tasks", query }, how);
  const order = () => show(changed(query, "order", filter.failedFirst ? undefined : "failed"));
  useKeys(words.keysList, [
    { keys: ["/"], label: words.keySearch, run: () => field.current?.select() },
    { keys: ["f"], label: words.failedFirst, run: order },
  ]);
  const choices = [
    { value: undefined, label: words.all },
    ...taskStates.map((state) => ({ value: state, label: words[state] })),
  ];
  return (
    <search class="filters">
      <SearchField field={field} q={filter.q} onSearch={(q) => show(changed(query, "q", q), "replace")} />
      <Segments
        label={words.states}
        choices={choices}
        value={filter.state}
        onChoose={(state) => show(changed(query, "state", state))}
      />
      <label class="switch">
        <input type="checkbox" checked={filter.failedFirst} onChange={order} />
        {words.failedFirst}
      </label>
    </search>
  );
}

interface SearchProps {
  field: { current: HTMLInputElement | null };
  q: string;
  onSearch: (q: string) => void;
}

function SearchField({ field, q, onSearch }: SearchProps) {
  const words = useText(text);
  const [typed, setTyped] = useState(q);
  const sent = useRef(q);
  const search = useRef((_: string) => {});
  search.current = (q) => {
    sent.current = q;
    onSearch(q);
  };
  // The address may change by itself, as on the way back. Where it says what was typed, more may have been typed since.
  useLayoutEffect(() => {
    if (q !== sent.current) setTyped(q);
    sent.current = q;
  }, [q]);
  // Layout effects, here and above: others are ended only some time after the field has gone.
  useLayoutEffect(() => {
    if (typed === q) return;
    const timer = setTimeout(() => search.current(typed), SETTLES_MS);
    return () => clearTimeout(timer);
  }, [typed, q]);
  const leave = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      // The browser would empty the field, and tell of it in no way that others do.
      event.preventDefault();
      field.current?.blur();
    }
    if (event.key === "Enter") search.current(typed);
  };
  return (
    <input
      class="field"
      type="search"
      ref={field}
      value={typed}
      placeholder={`${words.search} (/)`}
      aria-label={words.search}
      autocomplete="off"
      spellcheck={false}
      maxLength={256}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={leave}
    />
  );
}
