/**
 * The rows that are in the document, on a layer of their own that is moved as a whole. As little as can be is laid out
 * and painted: rows that stay keep their elements and where they are on the layer, and where none stays each is written
 * over in its place.
 */

import type { Anchor } from "./anchor";
import { lengthOf, Row, type RowView } from "./row";

/** Rows that are kept to be used again. */
const SPARE = 200;
/** Room above the first row, before rows come or go there: so much can be scrolled until all are painted anew. */
const LEAD = 8_000;

export interface Content {
  readonly count: number;
  sequenceOf(row: number): number;
  view(sequence: number, above: number | null): RowView;
}

export class List {
  readonly element = document.createElement("div");
  readonly #leave: () => void;
  readonly #pool: Row[] = [];
  #shown: Row[] = [];
  /** Characters that fit beside each other, by what has been drawn. */
  #columns = 1;
  /** Of a row of one line. */
  #lineHeight = 1;
  #lead = 0;
  #widest = 0;
  #digits = 0;

  /** `leave` has the focus go elsewhere, where the row that has it goes. */
  constructor(leave: () => void) {
    this.#leave = leave;
    this.element.className = "log-rows";
    this.#lift(LEAD);
  }

  /** In their order. */
  get shown(): readonly Row[] {
    return this.#shown;
  }

  /** What is known of how much fits beside each other holds no longer. */
  reshape(lineHeight: number): void {
    this.#lineHeight = lineHeight;
    this.#columns = 1;
    this.#widest = 0;
    this.element.style.removeProperty("min-width");
    this.#forget();
  }

  /** The widest line that was there leaves its room where it is wider than the window: what is scrolled to stays. */
  keepWidth(viewport: number): void {
    const width = this.element.scrollWidth;
    if (width <= Math.max(this.#widest, viewport)) return;
    this.#widest = width;
    this.element.style.setProperty("min-width", `${width}px`);
  }

  /** Puts rows into the document, from one on until they fill the window below the anchor; their heights. */
  fill(content: Content, first: number, anchor: Anchor, viewport: number): number[] {
    let count = anchor.row - first + 1;
    for (;;) {
      const views = this.#views(content, first, count, anchor, viewport);
      const heights = this.#put(views);
      const above = heights.slice(0, anchor.row - first).reduce((sum, height) => sum + height, anchor.px);
      const filled = heights.reduce((sum, height) => sum + height, -Math.max(0, above));
      if (filled >= viewport || first + heights.length >= content.count) return heights;
      // They were lower than it was thought.
      count = heights.length + Math.ceil((viewport - filled) / this.#lineHeight);
    }
  }

  /** Moves all, so that so many pixels of the rows are above the window. */
  show(above: number): void {
    this.element.style.setProperty("transform", `translateY(${-this.#lead - above}px)`);
  }

  /** Numbers take as much room as the last one does, and lines what is left. */
  widen(digits: number): void {
    if (digits === this.#digits) return;
    this.element.style.setProperty("--log-digits", String(digits));
    this.#digits = digits;
    this.#forget();
  }

  /** What the rows from one on show: as many as were asked for, and as seem to be enough. */
  #views(content: Content, first: number, atLeast: number, anchor: Anchor, viewport: number): RowView[] {
    const views: RowView[] = [];
    let filled = -Math.max(0, anchor.px);
    let above = first > 0 ? content.sequenceOf(first - 1) : null;
    for (let row = first; row < content.count; row += 1) {
      if (row - first >= atLeast && filled > viewport) break;
      const view = content.view(content.sequenceOf(row), above);
      if (row >= anchor.row) filled += this.#lineHeight * Math.max(1, Math.ceil(lengthOf(view.entry) / this.#columns));
      above = view.sequence;
      views.push(view);
    }
    return views;
  }

  #put(views: readonly RowView[]): number[] {
    const stay = new Set(views.map(({ sequence }) => sequence));
    const kept = this.#shown.filter((row) => stay.has(row.sequence));
    const there = new Map(kept.map((row) => [row.sequence, row]));
    const going = this.#shown.filter((row) => !stay.has(row.sequence));
    const inPlace = kept.length === 0 && !this.#isHeld();
    if (!inPlace) for (const row of going) this.#recycle(row);
    const spare = inPlace ? going.reverse() : this.#pool;
    let before: Element | null = this.element.firstElementChild;
    this.#shown = views.map((view) => {
      const row = there.get(view.sequence) ?? spare.pop() ?? this.#pool.pop() ?? new Row();
      row.update(view);
      if (row.element === before) before = before.nextElementSibling;
      else this.element.insertBefore(row.element, before);
      return row;
    });
    if (inPlace) for (const row of spare) this.#recycle(row);
    return this.#measure(kept[0]);
  }

  /** Heights of the rows. What has stayed stays where it is on the layer. */
  #measure(stayed: Row | undefined): number[] {
    // Before anything is measured, where that can be known: then all is laid out once.
    if (stayed && stayed === this.#shown[0]) this.#lift(stayed.top);
    const heights = this.#heights();
    let above = 0;
    for (let at = 0; stayed && this.#shown[at] !== stayed; at += 1) above += heights[at] ?? 0;
    if (stayed) this.#lift(stayed.top - above);
    let top = this.#lead;
    this.#shown.forEach((row, at) => {
      const height = heights[at] ?? 0;
      row.top = top;
      top += height;
      this.#columns = Math.max(this.#columns, (row.length * this.#lineHeight) / Math.max(this.#lineHeight, height));
    });
    return heights;
  }

  /** Rows that have not been written since keep theirs. One look tells of all others, where none is higher than a line. */
  #heights(): number[] {
    const written = this.#shown.filter((row) => row.height === null);
    if (written.length > 1) {
      const known = this.#shown.reduce((sum, row) => sum + (row.height ?? this.#lineHeight), this.#lead);
      if (known === this.element.offsetHeight) for (const row of written) row.height = this.#lineHeight;
    }
    return this.#shown.map((row) => {
      row.height ??= row.element.offsetHeight;
      return row.height;
    });
  }

  #forget(): void {
    for (const row of this.#shown) row.height = null;
  }

  /** Room above the first row in place of rows that have gone from there. */
  #lift(px: number): void {
    const lead = px < 0 || px > 2 * LEAD ? LEAD : px;
    if (lead !== this.#lead) this.element.style.setProperty("padding-top", `${lead}px`);
    this.#lead = lead;
  }

  /** Whether somebody's focus is in a row, or a selection or its beginning: it must not be found in another line. */
  #isHeld(): boolean {
    const { anchorNode = null, focusNode = null } = getSelection() ?? {};
    return [anchorNode, focusNode, document.activeElement].some((node) => node !== null && this.element.contains(node));
  }

  #recycle(row: Row): void {
    if (row.element.contains(document.activeElement)) this.#leave();
    row.element.remove();
    row.height = null;
    if (this.#pool.length < SPARE) this.#pool.push(row);
  }
}
