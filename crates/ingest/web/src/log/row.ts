/** One row of the view: a recycled element, drawn again only where something that it shows has changed. */

import type { SearchQuery } from "../api";
import { PLAIN, type Style } from "./ansi";
import { overwritten } from "./carriage";
import { commandLength } from "./command";
import { type Group, took } from "./groups";
import type { Entry, Gap, Line } from "./line";
import type { Texts } from "./messages";
import { draw, isPlain } from "./paint";
import type { Range } from "./rows";
import { beginning } from "./text";
import { full, type Zone } from "./time";

/** Characters of a line that are drawn until somebody asks for more, and how many more then. */
export const SHOWN_CHARACTERS = 4_096;
export const MORE_CHARACTERS = 65_536;

export interface RowView {
  readonly sequence: number;
  /** Nothing where the line is not here yet. */
  readonly entry: Entry | undefined;
  readonly style: Style;
  /** The address of lines. */
  readonly href: (range: Range) => string;
  readonly time: string;
  readonly zone: Zone;
  readonly selected: boolean;
  readonly hit: boolean;
  readonly current: boolean;
  /** What to mark in the text. */
  readonly query: SearchQuery | null;
  readonly mark: string | null;
  /** The group that begins here. */
  readonly group: Group | undefined;
  readonly folded: boolean;
  readonly hidden: number;
  readonly depth: number;
  /** Characters to draw, and the whole line where more are wanted than were kept. */
  readonly characters: number;
  readonly whole: string | null;
  readonly history: boolean;
  readonly texts: Texts;
  /** Why lines are missing, in words. */
  readonly reason: (code: string) => string;
}

/** What rows say that is not of the log. */
export interface Surroundings {
  texts: Texts;
  reason(code: string): string;
  /** The address of lines. */
  href(range: Range): string;
}

/** What a press in a row asks for. */
export type Action = "select" | "fold" | "more" | "history";

export class Row {
  readonly element = element("div", "log-row");
  /** Where on the layer of all rows it was drawn. */
  top = 0;
  /** How high it is, once that was measured since it was last written. */
  height: number | null = null;
  readonly #number = document.createElement("a");
  readonly #digits = document.createTextNode("");
  readonly #time = element("span", "log-time");
  readonly #stream = element("span", "log-stream");
  readonly #text = element("span", "log-text");
  #view: RowView | null = null;
  #classes = "";
  /** What it says of its stream. */
  #told = "";
  /** All of the text, where it is nothing but text: most lines are, and the node is written over for the next one. */
  #plain: Text | null = null;

  constructor() {
    this.#number.className = "log-number";
    this.#number.append(this.#digits);
    // Numbers would be a hundred stops on the way with Tab; keys choose lines.
    this.#number.tabIndex = -1;
    // A hand that slips by some pixels presses all the same.
    this.#number.draggable = false;
    this.#number.dataset["action"] = "select" satisfies Action;
    this.#number.addEventListener("pointerenter", () => this.#tellMoment());
    this.element.append(this.#number, this.#time, this.#stream, this.#text);
  }

  get sequence(): number {
    return this.#view?.sequence ?? 0;
  }

  /** Characters of its line, as far as they say how high it will be. */
  get length(): number {
    return lengthOf(this.#view?.entry);
  }

  /** Writes only what has changed: each frame of a fast scroll has a window of rows with other lines. */
  update(view: RowView): void {
    const before = this.#view;
    if (before && unchanged(before, view)) return;
    this.#view = view;
    this.height = null;
    const { sequence, entry, texts } = view;
    const names = classes(view);
    if (names !== this.#classes) this.element.className = names;
    this.#classes = names;
    if ((before?.depth ?? 0) !== view.depth) this.element.style.setProperty("--log-depth", String(view.depth));
    if (before?.sequence !== sequence || before.texts !== texts) {
      this.element.dataset["sequence"] = String(sequence);
      this.#digits.data = String(sequence);
      this.#number.href = view.href([sequence, sequence]);
      this.#number.setAttribute("aria-label", texts.line(sequence));
    }
    if ((before?.time ?? "") !== view.time) this.#time.textContent = view.time;
    this.#drawStream(entry, texts);
    // A line that is not here looks like any other.
    if (!before || !(hasSameText(before, view) || (isMissing(before) && isMissing(view)))) this.#drawText(view);
  }

  /** When exactly it came: written where somebody points at it, and not for each row that passes. */
  #tellMoment(): void {
    const view = this.#view;
    this.#number.title = view?.entry?.kind === "line" ? full(view.entry.timestamp, view.zone) : "";
  }

  #drawStream(entry: Entry | undefined, texts: Texts): void {
    const source = entry?.kind === "line" ? entry.source : "stdout";
    const text = source === "stdout" ? "" : (texts.short[source] ?? source);
    if (this.#told === text) return;
    this.#told = text;
    this.#stream.textContent = text;
    this.#stream.title = source;
  }

  #drawText(view: RowView): void {
    const text = this.#text;
    const plain = plainOf(view);
    if (plain !== null && this.#plain) {
      // The same again would take the place of what is selected in it.
      if (this.#plain.data !== plain) this.#plain.data = plain;
      return;
    }
    const focused = document.activeElement;
    const held = focused instanceof HTMLElement && text.contains(focused) ? focused.dataset["action"] : undefined;
    text.replaceChildren();
    this.#plain = plain === null ? null : text.appendChild(document.createTextNode(plain));
    if (plain === null) drawn(text, view);
    if (held) this.#refocus(held);
  }

  /** Whoever goes by keys stays where he was: on what does the same, or in the log where nothing does any more. */
  #refocus(held: string): void {
    const same = this.#text.querySelector<HTMLElement>(`[data-action="${held}"]`);
    (same ?? this.element.closest<HTMLElement>('[tabindex="0"]'))?.focus({ preventScroll: true });
  }
}

/** What is not of its text: the rest of the row is written around that, and a selection in it stays. */
const AROUND: ReadonlySet<keyof RowView> = new Set(["time", "zone", "selected", "current", "mark", "depth", "href"]);

let fields: (keyof RowView)[] = [];

function unchanged(before: RowView, view: RowView): boolean {
  if (fields.length === 0) fields = Object.keys(view) as (keyof RowView)[];
  for (const field of fields) if (before[field] !== view[field]) return false;
  return true;
}

function hasSameText(before: RowView, view: RowView): boolean {
  return fields.every((field) => before[field] === view[field] || AROUND.has(field));
}

/** Characters of a line that are drawn at first, colours among them. */
export function lengthOf(entry: Entry | undefined): number {
  return entry?.kind === "line" ? Math.min(entry.message.length, SHOWN_CHARACTERS) : 0;
}

function isMissing(view: RowView): boolean {
  return view.entry === undefined && view.group === undefined;
}

/** The text of a row that shows nothing else. */
function plainOf(view: RowView): string | null {
  const { entry } = view;
  if (entry?.kind !== "line" || view.group || entry.continues || entry.unterminated) return null;
  const { message } = entry;
  if (entry.length > Math.min(view.characters, message.length) || !isPlain(message, view.style, view.query))
    return null;
  return commandLength(message) > 0 ? null : message;
}

function drawn(into: HTMLElement, view: RowView): void {
  const { entry } = view;
  if (entry?.kind === "gap") into.append(gap(entry, view));
  // What is known of a group is enough, whether its line is here or not.
  else if (view.group) heading(into, view, view.group);
  else if (!entry) into.append(element("span", "log-missing", "\u2026"));
  else content(into, view, entry);
  // Further on in a long line, in an earlier state of it, or by a pattern that is not known here.
  if (view.query && entry?.kind === "line" && !into.querySelector("mark"))
    into.append(sign(view.texts.unmarked, view.texts.unmarkedTitle));
}

function classes(view: RowView): string {
  const { entry } = view;
  const names = ["log-row"];
  if (isMissing(view)) names.push("log-loading");
  if (entry?.kind === "gap") names.push("log-gap");
  else if (entry) names.push(`log-${entry.source}`);
  if (view.mark !== null) names.push(`log-mark-${view.mark}`);
  if (view.selected) names.push("log-selected");
  if (view.hit) names.push("log-hit");
  if (view.current) names.push("log-current");
  if (view.group) names.push("log-heading");
  if (entry?.kind === "line" && MARKER.test(entry.message)) names.push("log-marker");
  return names.join(" ");
}

/** Ends a group and says nothing else. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: GitLab's documents erase the line first.
const MARKER = /^(?:::endgroup::|##\[endgroup\]|(?:\x1b\[\d*K)*section_end:\d+:)/;

function gap({ sequence, last, reason }: Gap, view: RowView): HTMLElement {
  const node = element("span", "log-gap-text", view.texts.gap(sequence, last, view.reason(reason)));
  node.title = reason;
  return node;
}

function heading(into: HTMLElement, view: RowView, group: Group): void {
  const { texts } = view;
  const button = element("button", "log-fold");
  button.setAttribute("type", "button");
  button.setAttribute("aria-expanded", String(!view.folded));
  button.dataset["action"] = "fold" satisfies Action;
  const title = element("span", "log-title");
  draw(title, beginning(group.title, SHOWN_CHARACTERS), view.style, view.query);
  button.append(element("span", "log-arrow", view.folded ? "\u25b8" : "\u25be"), title);
  into.append(button);
  const time = took(group);
  if (time !== null) into.append(element("span", "log-took", texts.took(time)));
  else if (group.last === null) into.append(element("span", "log-took", texts.running));
  if (view.folded && view.hidden > 0) into.append(element("span", "log-folded", texts.lines(view.hidden)));
}

function content(into: HTMLElement, view: RowView, line: Line): void {
  const { texts } = view;
  const whole = view.whole ?? line.message;
  const { shown, history } = overwritten(whole);
  if (view.history) {
    for (const state of history) {
      const earlier = element("span", "log-earlier");
      draw(earlier, beginning(state, SHOWN_CHARACTERS), view.style, view.query);
      into.append(earlier);
    }
  }
  const text = beginning(shown, view.characters);
  const command = commandLength(text);
  if (command > 0) draw(into.appendChild(element("span", "log-dim")), text.slice(0, command), PLAIN, view.query);
  draw(into, text.slice(command), view.style, view.query);
  if (history.length > 0) {
    const button = action("history", view.history ? texts.historyHide : texts.history(history.length));
    button.setAttribute("aria-expanded", String(view.history));
    into.append(button);
  }
  const left = Math.max(0, line.length - whole.length) + Math.max(0, shown.length - view.characters);
  if (left > 0) into.append(action("more", texts.more(left)));
  if (line.continues) into.append(sign("\u21a9", texts.continues));
  if (line.unterminated) into.append(sign("no \u23ce", texts.unterminated));
}

function action(name: Action, text: string): HTMLElement {
  const button = element("button", "log-action", text);
  button.setAttribute("type", "button");
  button.dataset["action"] = name;
  return button;
}

function sign(text: string, title: string): HTMLElement {
  const node = element("span", "log-sign", text);
  node.title = title;
  return node;
}

function element(name: string, className: string, text = ""): HTMLElement {
  const node = document.createElement(name);
  node.className = className;
  if (text !== "") node.textContent = text;
  return node;
}
