/**
 * What the browser's selection is in a log: the text of its rows, one a line, without numbers, times and buttons. Rows
 * that are scrolled out of sight leave the document, and the browser's selection with them; where it began and where it
 * ends is kept here, shown again as far as it is drawn, and copied from the server.
 */

import { between, type Place, type Stretch } from "./stretch";

/** What stands in a row's text and is not the log's. */
const OURS = ".log-action, .log-sign, .log-took, .log-folded, .log-arrow, .log-missing";

type Point = readonly [Node, number];

export class Selected {
  readonly #root: Element;
  #anchor: Place | null = null;
  #focus: Place | null = null;
  /** Some of it was not drawn. */
  #left = false;
  /** The next selection begins anew. */
  #pressed = false;
  /** Somebody holds a row that he has pressed. */
  #held = false;
  /** The browser's selection, as it was looked at last. */
  #seen: readonly unknown[] = [];

  constructor(root: Element) {
    this.#root = root;
  }

  /** Somebody selects, and has not let go yet. */
  get isBeingMade(): boolean {
    return this.#held && getSelection()?.isCollapsed === false;
  }

  /** What is selected, if some of it is not in the document. */
  get beyond(): Stretch | null {
    if (!this.#anchor || !this.#focus || (this.#isDrawn(this.#anchor) && this.#isDrawn(this.#focus))) return null;
    return between(this.#anchor, this.#focus);
  }

  /** Somebody presses a button of a mouse, or a finger: without Shift, a selection begins there. */
  pressed(event: PointerEvent): void {
    const { target } = event;
    const isText = target instanceof Element && target.closest("button, .log-number") === null;
    this.#pressed = !event.shiftKey && isText;
    this.#held = event.button === 0 && isText && this.#root.contains(target.closest(".log-row"));
  }

  /** A press that selected nothing, as that of a finger that scrolls, begins no selection later. */
  released(): void {
    this.drawing();
    this.#pressed = false;
    this.#held = false;
  }

  /** Rows may leave now, and the browser tells of a selection in them only when they have. */
  drawing(): void {
    if (this.#isMoved) this.changed(getSelection());
  }

  /** The browser's selection is not the one that was looked at last. */
  get #isMoved(): boolean {
    return endsOf(getSelection()).some((end, at) => end !== this.#seen[at]);
  }

  /** The browser says that its selection is another. */
  changed(selection: Selection | null): void {
    const { anchorNode, anchorOffset, focusNode, focusOffset } = selection ?? {};
    this.#seen = endsOf(selection);
    const pressed = this.#pressed;
    this.#pressed = false;
    if (!anchorNode || !focusNode || !(this.#root.contains(anchorNode) || this.#root.contains(focusNode))) {
      this.#anchor = null;
      this.#focus = null;
      return;
    }
    const isGone = !pressed && this.#anchor !== null && !this.#isDrawn(this.#anchor);
    if (!isGone || !this.#isEdge(anchorNode, anchorOffset ?? 0))
      this.#anchor = this.#placeOf(anchorNode, anchorOffset ?? 0, this.#anchor);
    this.#focus = this.#placeOf(focusNode, focusOffset ?? 0, pressed ? null : this.#focus);
  }

  /** Selects the whole log. */
  all(end: number): void {
    this.#anchor = { sequence: 1, before: "", behind: null };
    this.#focus = { sequence: end, before: null, behind: "" };
    this.#show();
  }

  /** Other rows are drawn: what is selected of them is shown so. */
  drawn(): void {
    if (!this.#anchor || !this.#focus || !between(this.#anchor, this.#focus)) return;
    // Somebody who writes would be taken out of the field.
    if (document.activeElement?.matches("input, textarea")) return;
    const left = !this.#isDrawn(this.#anchor) || !this.#isDrawn(this.#focus);
    // Where text was written anew the browser has put it aside.
    if (left || this.#left || this.#isMoved) this.#show();
    this.#left = left;
  }

  #show(): void {
    const selection = getSelection();
    const [from, to] = [this.#pointOf(this.#anchor), this.#pointOf(this.#focus)];
    if (!selection || !from || !to) return;
    const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
    if (anchorNode === from[0] && anchorOffset === from[1] && focusNode === to[0] && focusOffset === to[1]) return;
    selection.setBaseAndExtent(...from, ...to);
  }

  get #rows(): HTMLCollectionOf<HTMLElement> {
    return (this.#root.querySelector(".log-rows") as Element).children as HTMLCollectionOf<HTMLElement>;
  }

  #rowOf({ sequence }: Place): HTMLElement | null {
    return this.#root.querySelector(`[data-sequence="${sequence}"]`);
  }

  #isDrawn(place: Place): boolean {
    return this.#rowOf(place) !== null;
  }

  /** Whether it is where the browser moves the beginning of a selection whose row has left: to what is drawn next to it. */
  #isEdge(node: Node, offset: number): boolean {
    const row = rowOf(node);
    if (!row) return true;
    const [rows, place] = [this.#rows, placeIn(row, node, offset)];
    return (row === rows[0] && place?.before === "") || (row === rows[rows.length - 1] && place?.behind === "");
  }

  /** A place of the browser's selection. Where the row of the one before has left, the browser has moved it. */
  #placeOf(node: Node, offset: number, before: Place | null): Place | null {
    const row = rowOf(node);
    if (row && this.#root.contains(row)) return placeIn(row, node, offset);
    if (this.#root.contains(node) && before && !this.#isDrawn(before)) return before;
    const range = document.createRange();
    range.setStart(node, offset);
    const rows = [...this.#rows];
    const next = rows.find((row) => range.comparePoint(row, 0) >= 0);
    const last = rows[rows.length - 1];
    if (next) return placeIn(next, next, 0);
    return last ? placeIn(last, last, last.childNodes.length) : null;
  }

  /** Where a place is in the document; between the rows where its own is not there. */
  #pointOf(place: Place | null): Point | null {
    if (!place) return null;
    const row = this.#rowOf(place);
    const text = row?.querySelector(".log-text");
    if (text) return pointIn(text, place);
    const rows = [...this.#rows];
    const at = rows.findIndex((row) => Number(row.dataset["sequence"]) > place.sequence);
    const list = rows[0]?.parentElement;
    return list ? [list, at < 0 ? rows.length : at] : null;
  }
}

/** The selected text of rows, where all of it is drawn; nothing where no row is selected. */
export function selectedText(root: Element, selection: Selection): string | null {
  if (selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  const texts = [...root.querySelectorAll(".log-text")].filter((text) => range.intersectsNode(text));
  if (texts.length === 0 || !root.contains(range.commonAncestorContainer)) return null;
  return texts.map((text) => within(range, text)).join("\n");
}

/** Whether anything of the log is selected. */
export function isSelected(root: Element, selection: Selection | null): boolean {
  return selection !== null && !selection.isCollapsed && root.contains(selection.anchorNode);
}

function endsOf(selection: Selection | null): readonly unknown[] {
  return [selection?.anchorNode, selection?.anchorOffset, selection?.focusNode, selection?.focusOffset];
}

function within(range: Range, text: Element): string {
  const part = document.createRange();
  part.selectNodeContents(text);
  if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0)
    part.setStart(range.startContainer, range.startOffset);
  if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) part.setEnd(range.endContainer, range.endOffset);
  return textOf(part);
}

function textOf(part: Range): string {
  const copy = part.cloneContents();
  for (const ours of copy.querySelectorAll(OURS)) ours.remove();
  return copy.textContent ?? "";
}

function rowOf(node: Node): HTMLElement | null {
  return (node instanceof Element ? node : node.parentElement)?.closest<HTMLElement>(".log-row") ?? null;
}

function placeIn(row: HTMLElement, node: Node, offset: number): Place | null {
  const text = row.querySelector(".log-text");
  if (!text) return null;
  const part = document.createRange();
  part.selectNodeContents(text);
  const whole = textOf(part);
  // What is before the text, as its number, moves the beginning there as well, and then nothing is before.
  part.setEnd(node, offset);
  const before = text.contains(part.startContainer) ? textOf(part) : "";
  return { sequence: Number(row.dataset["sequence"]), before, behind: whole.slice(before.length) };
}

function pointIn(text: Element, { before, behind }: Place): Point {
  if (before === null || behind === "") return [text, text.childNodes.length];
  let left = before.length;
  const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement?.closest(OURS)) continue;
    const { length } = node as Text;
    if (left <= length) return [node, left];
    left -= length;
  }
  return [text, text.childNodes.length];
}
