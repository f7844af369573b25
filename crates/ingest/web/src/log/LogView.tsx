/** A worker's log: its tools, the window onto its lines, what is chosen in it. */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { tailUrl, type WorkerState } from "../api";
import { useText } from "../i18n";
import { enteredAgain, entry } from "../navigation";
import { notice } from "../notices";
import { useReason } from "../reasons";
import { parse, withEntry, workerHref } from "../route";
import { useCell } from "../store";
import { reasonOf } from "../troubles";
import { beginCopy, Chosen, copyStretch } from "./Chosen";
import { formatRange, parseRange } from "./copy";
import { Find } from "./Find";
import { listen } from "./listen";
import type { Server } from "./live";
import { useLogKeys } from "./logKeys";
import { MarkStrip } from "./MarkStrip";
import { messages } from "./messages";
import { Notes } from "./Notes";
import { placeOf, withPlace } from "./place";
import type { Action, Surroundings } from "./row";
import type { Range } from "./rows";
import { Said } from "./Said";
import { isSelected, selectedText } from "./selected";
import * as settings from "./settings";
import type { Start } from "./start";
import { Tools } from "./Tools";
import { View } from "./view";
import "./log.css";
import "./row.css";

export interface LogViewProps {
  worker: string;
  /** What is known of the worker already: its first lines then come a round trip earlier. */
  state?: WorkerState;
  /** Another way to its end than a connection of its own. */
  tail?: Server["tail"];
  /** The part of the address behind the `?`. */
  query: URLSearchParams;
  setQuery: (next: URLSearchParams, replace: boolean) => void;
  /** Of several logs on the page, the one that keys are for. */
  active: boolean;
}

export function LogView({ worker, state, tail, query, setQuery, active }: LogViewProps) {
  const words = useText(messages);
  const reason = useReason();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `reason` changes with the words.
  const around = useMemo(
    (): Surroundings => ({ texts: words, reason, href: (range) => hrefOf(worker, range) }),
    [words, worker],
  );
  const own: Server["tail"] = (from) => listen(tailUrl(worker, from));
  const line = query.get("line");
  const start = { known: state ?? null, tail: tail ?? own, chosen: rangeOf(line) };
  const [scroller, view] = useView(worker, around, start);
  const [finding, setFinding] = useState(false);
  useCell(view?.told ?? IDLE);
  const wrap = useCell(settings.wraps);
  const times = useCell(settings.times);
  useSettings(view, wrap, times);
  useAddress(view, worker, line);
  const setRange = (range: Range | null) => setQuery(withEntry(query, "line", range && numbersOf(range)), true);
  useSelectAll(view, active);
  useLogKeys({ view, words, active, finding, setFinding, setRange });
  return (
    <section
      class={`log log-times-${times}${wrap === "on" ? "" : " log-unwrapped"}`}
      aria-label={words.log(worker)}
      data-worker={worker}
    >
      {view && <Tools view={view} words={words} finding={finding} setFinding={setFinding} />}
      {view && finding && <Find view={view} words={words} close={() => setFinding(false)} />}
      {view && <Notes view={view} words={words} />}
      <div class="log-body">
        <Window scroller={scroller} label={words.log(worker)} press={(event) => view && act(event, view, setRange)} />
        {view && <MarkStrip view={view} words={words} />}
        {view && <NewLines view={view} label={words.newLines(view.fresh)} />}
      </div>
      {view?.choice.range && (
        <Chosen view={view} words={words} range={view.choice.range} clear={() => setRange(null)} />
      )}
      {view && <Said view={view} words={words} />}
    </section>
  );
}

interface WindowProps {
  scroller: RefObject<HTMLDivElement | null>;
  label: string;
  press: (event: MouseEvent) => void;
}

/** What is in it is drawn by the `View`. */
function Window({ scroller, label, press }: WindowProps) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: each press has a key, which `useLogKeys` hears.
    <div
      class="log-scroller"
      ref={scroller}
      role="log"
      aria-live="off"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
      tabIndex={0}
      onClick={press}
    />
  );
}

const IDLE = { value: 0, subscribe: () => () => {} } as unknown as View["told"];

function NewLines({ view, label }: { view: View; label: string }) {
  if (view.fresh === 0) return null;
  return (
    <button type="button" class="log-new" data-log="new-lines" onClick={() => view.toEnd()}>
      {label} <span aria-hidden="true">↓</span>
    </button>
  );
}

/** The window, made once for a log. */
function useView(worker: string, around: Surroundings, start: Omit<Start, "renewed" | "place" | "remember">) {
  const element = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<View | null>(null);
  // Another log under the same name begins anew.
  const [renewed, setRenewed] = useState<WorkerState | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other words are no other log.
  useLayoutEffect(() => {
    const root = element.current;
    if (!root) return;
    const made = new View(worker, root, around, {
      ...start,
      known: renewed ?? start.known,
      renewed: setRenewed,
      place: placeOf(entry.state, worker),
      remember: (place) => entry.keep(withPlace(entry.state, worker, place)),
    });
    setView(made);
    const shown = () => made.log.shown(!document.hidden);
    const online = () => made.log.retry();
    const returns = () => made.returned(placeOf(history.state, worker));
    // Rows that move away would take what is selected with them.
    const selects = () => {
      made.selected.changed(getSelection());
      if (isSelected(root, getSelection())) made.hold();
    };
    const presses = (event: PointerEvent) => {
      made.selected.pressed(event);
      const pressed = event.target instanceof Element ? event.target.closest("[data-action]") : null;
      if (root.contains(pressed)) made.pressed();
    };
    const releases = () => made.selected.released();
    const copies = (event: ClipboardEvent) => copySelected(event, made, root);
    const heard = new AbortController();
    document.addEventListener("visibilitychange", shown, heard);
    document.addEventListener("selectionchange", selects, heard);
    document.addEventListener("pointerdown", presses, heard);
    document.addEventListener("pointerup", releases, heard);
    document.addEventListener("pointercancel", releases, heard);
    document.addEventListener("copy", copies, heard);
    window.addEventListener("online", online, heard);
    window.addEventListener("popstate", returns, heard);
    const unsubscribe = enteredAgain.subscribe(() => {
      const named = rangeOf(parse(location.hash).query.get("line"));
      if (named) made.namedAgain(named[0]);
    });
    return () => {
      unsubscribe();
      heard.abort();
      made.close();
    };
  }, [worker, renewed]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else is new of the worker comes with its lines.
  useEffect(() => {
    if (start.known) view?.log.hear(start.known);
  }, [view, start.known?.created_at]);
  useEffect(() => {
    if (!view) return;
    view.around = around;
    view.redraw();
  }, [view, around]);
  return [element, view] as const;
}

/** Ctrl and A select the log, and not the page around it. */
function useSelectAll(view: View | null, active: boolean): void {
  useLayoutEffect(() => {
    if (!view || !active) return;
    const selects = (event: KeyboardEvent) => {
      const isAll = event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey) && !event.altKey;
      if (!isAll || event.defaultPrevented || isElsewhere(event.target)) return;
      event.preventDefault();
      view.setFollow(false);
      view.selected.all(view.log.end);
    };
    document.addEventListener("keydown", selects);
    return () => document.removeEventListener("keydown", selects);
  }, [view, active]);
}

/** Whether what is pressed there is of a field or a dialog, which have a selection of their own. */
function isElsewhere(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, dialog, [popover]") !== null;
}

function copySelected(event: ClipboardEvent, view: View, root: Element): void {
  const selection = getSelection();
  if (!selection || isElsewhere(event.target)) return;
  // The browser tells of it a moment later, and a key may be quicker.
  view.selected.changed(selection);
  const { beyond } = view.selected;
  if (beyond) {
    event.preventDefault();
    copyStretch(view, view.around.texts, beyond);
    return;
  }
  const text = selectedText(root, selection);
  // Of several logs each is told of a copy, and most have nothing to do with it.
  if (text === null) return;
  event.preventDefault();
  beginCopy();
  event.clipboardData?.setData("text/plain", text);
}

function useSettings(view: View | null, wrap: string, times: string): void {
  const zone = useCell(settings.zone);
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows take other heights with these.
  useLayoutEffect(() => view?.reshape(), [view, wrap, times]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows say something else with it.
  useEffect(() => view?.redraw(), [view, zone]);
}

/** What is chosen is what the address says; the log goes there where the address was not of its own making. */
function useAddress(view: View | null, worker: string, line: string | null): void {
  useLayoutEffect(() => {
    const range = rangeOf(line);
    const own = view?.choice.range ?? null;
    const same = range !== null && own !== null && range[0] === own[0] && range[1] === own[1];
    // An entry that knows where this log was left leads there.
    if (!same) view?.setChosen(range, range !== null && !view.isOf(placeOf(entry.state, worker)));
  }, [view, worker, line]);
}

function rangeOf(line: string | null): Range | null {
  return line === null ? null : parseRange(`L${line}`);
}

function act(event: MouseEvent, view: View, setRange: (range: Range | null) => void): void {
  const { target } = event;
  const button = target instanceof Element ? target.closest<HTMLElement>("[data-action]") : null;
  const sequence = Number(button?.closest<HTMLElement>("[data-sequence]")?.dataset["sequence"]);
  if (!button || !sequence) return;
  const action = button.dataset["action"] as Action;
  // With these keys a link is opened elsewhere, as the browser does it.
  if (action === "select" && (event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  switch (action) {
    case "select":
      setRange(view.choose(sequence, event.shiftKey));
      break;
    case "fold":
      view.fold(view.log.groups.startingAt(sequence));
      break;
    case "history":
      view.toggleHistory(sequence);
      break;
    case "more":
      view.showMore(sequence).catch((error: unknown) => notice(reasonOf(error)));
  }
}

/** As the address has it: `120` or `120-140`. */
function numbersOf([first, last]: Range): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function hrefOf(worker: string, range: Range): string {
  return `${workerHref(worker)}#${formatRange(range)}`;
}
