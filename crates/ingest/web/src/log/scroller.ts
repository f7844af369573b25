/**
 * The window onto the rows: a native scroller whose content is sticky, so that the browser scrolls at once, and the rows
 * are drawn where the anchor says. What is decided is in `anchor`; here it is carried out, at most once a frame.
 */

import {
  type Anchor,
  at,
  type Below,
  below,
  END,
  type Extent,
  end,
  firstNeeded,
  isEnd,
  moved,
  placeOf,
  START,
  scrolled,
  settled,
  spacerHeight,
} from "./anchor";
import { Bar } from "./bar";
import { Frame } from "./frame";
import { type Content, List } from "./list";
import { type Looked, Looking } from "./looking";
import { Pane } from "./pane";

/** How long a scroller rests until its bar is put right. */
const REST_MS = 150;
/** Heights of so many rows are an average to go by. */
const SAMPLE = 200;

export interface Heard {
  /** Before a frame is drawn: where it is to be may change yet. */
  settling(): void;
  /** Before rows are drawn. */
  drawing(): Content;
  drawn(sequences: readonly number[]): void;
  /** The line that is looked at, if it is seen. */
  lookedAt(): Looked | null;
  /** A person scrolls by so many pixels: told at once. */
  scrolled(by: number): void;
  /** What a person scrolled is drawn, and the end is seen: whether the way there led down. */
  sawEnd(down: boolean): void;
}

export class Scroller {
  readonly element: HTMLElement;
  readonly #heard: Heard;
  readonly #space = document.createElement("div");
  readonly #window = document.createElement("div");
  /** A line, to be measured. */
  readonly #probe = document.createElement("div");
  readonly #list: List;
  readonly pane: Pane;
  readonly #resized: ResizeObserver;
  #anchor: Anchor = START;
  /** Where the window was told to be. It stays there while rows come and take other heights, until a person scrolls. */
  #pinned: Anchor | null = null;
  #count = 0;
  /** How high and wide it is; nothing until somebody needs to know, as to tell makes the browser lay out the page. */
  #viewport = 0;
  #width = 0;
  /** Until it is measured, that of most browsers. */
  #lineHeight = 20;
  #rowHeight = 0;
  readonly #bar: Bar;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #measured = { rows: 0, px: 0 };
  #below: Below = { rows: 0, px: 0, drawn: 0 };
  #moved: number | null = null;
  readonly #looking = new Looking();
  readonly #frame: Frame;
  readonly #closed = new AbortController();
  /** The window was told to be elsewhere, or was never drawn yet, and the bar does not say where it is. */
  #jumped = true;

  constructor(element: HTMLElement, heard: Heard) {
    this.element = element;
    this.#heard = heard;
    this.#space.className = "log-space";
    this.#window.className = "log-window";
    this.#frame = new Frame(element, { settle: () => this.#prepare(), draw: () => this.#draw() });
    this.#list = new List(() => element.focus({ preventScroll: true }));
    this.pane = new Pane(this.#list, this.#window);
    this.#bar = new Bar(element, this.#space);
    this.#window.append(this.#list.element);
    this.#probe.className = "log-probe";
    this.#space.append(this.#window);
    element.append(this.#probe, this.#space);
    const { signal } = this.#closed;
    element.addEventListener("scroll", this.#onScroll, { passive: true, signal });
    this.#window.addEventListener("scroll", this.#onShifted, { passive: true, signal });
    this.#resized = new ResizeObserver(() => this.#resize());
    this.#resized.observe(element);
    this.#resized.observe(this.#probe);
    this.redraw();
  }

  close(): void {
    this.#resized.disconnect();
    this.#closed.abort();
    this.#frame.close();
    clearTimeout(this.#rest);
    this.#probe.remove();
    this.#space.remove();
  }

  /** From now on what is at the top stays there. */
  unpin(): void {
    this.#pinned = null;
  }

  /** The height of a row of one line. */
  get lineHeight(): number {
    return this.#lineHeight;
  }

  /** Rows that fit. */
  get page(): number {
    this.#measure();
    return Math.max(1, Math.floor(this.#viewport / this.lineHeight));
  }

  /** Draws in the next frame, or once what is pressed is let go. */
  redraw(): void {
    this.#frame.ask();
  }

  /** Draws what the next frame would: who asks what is seen means what he has asked for. */
  drawDue(): void {
    this.#onScroll();
    this.#frame.hurry();
  }

  toStart(): void {
    this.#go(START);
  }

  toEnd(): void {
    this.#go(END);
  }

  /** Has a row a third below the top, or where it is if it can be seen. */
  toRow(row: number, where: "third" | "nearest" | "top" = "third"): void {
    this.#measure();
    const isNear = where === "nearest" && this.#list.shown.length > 0 && row >= this.#anchor.row;
    if (isNear && this.pane.hasWhole(this.#heard.drawing().sequenceOf(row))) this.redraw();
    // Of one that is cut at the top the rest comes, and nothing jumps.
    else if (where === "top" || (isNear && row === this.#anchor.row)) this.#go({ row, px: 0 });
    else this.#go({ row, px: -Math.floor(this.#viewport / 3) });
  }

  /** Has a row so far below the top. */
  toTop(row: number, top: number): void {
    this.#go({ row, px: -top });
  }

  /** As a person scrolls by so many pixels: from where it is to be, also before that is drawn and the bar is there. */
  by(pixels: number): void {
    const isAtStart = this.#anchor.row === 0 && this.#anchor.px <= 0;
    const isAtEnd = this.atEnd && !this.#frame.isDue;
    if (this.#count === 0 || (pixels < 0 ? isAtStart : isAtEnd)) return;
    this.#jumped = true;
    this.#movedTo(moved(this.#anchor, pixels, this.#extent()), pixels);
  }

  /** The same to the side, where lines are not wrapped. */
  sideways(pixels: number): void {
    this.#window.scrollLeft += pixels;
  }

  /** Rows have come or gone, and there are so many: what is at the top stays there. */
  renumber(rowOf: (row: number) => number, count: number): void {
    this.#count = count;
    const before = this.#anchor.row;
    this.#anchor = { ...this.#anchor, row: rowOf(before) };
    const pinned = this.#pinned;
    // Where no row is left, it comes back to what was at the top, and only the end stays what it is.
    const isKept = count > 0 || pinned?.row === END.row;
    this.#pinned = pinned && isKept ? { ...pinned, row: rowOf(pinned.row) } : null;
    if (this.#anchor.row !== before) this.#looking.stays();
    this.redraw();
    this.#settle();
  }

  /** Goes on by so many pixels from where it is drawn. */
  goOn(pixels: number): void {
    this.#stand({ row: this.#anchor.row, px: this.#anchor.px + pixels });
  }

  #stand(anchor: Anchor): void {
    if (this.#pinned) this.#pinned = anchor;
    this.#anchor = anchor;
    this.redraw();
    this.#settle();
  }

  /** Rows are to be measured anew. */
  reshape(): void {
    if (this.#viewport === 0) return;
    this.#shapeBy(this.#probe.offsetHeight || this.#lineHeight);
  }

  #shapeBy(lineHeight: number): void {
    this.#lineHeight = lineHeight;
    this.element.style.setProperty("--log-line", `${this.#lineHeight}px`);
    this.#measured = { rows: 0, px: 0 };
    this.#rowHeight = this.lineHeight;
    this.#drawAnew();
  }

  /** Nothing that was measured of rows holds any longer. */
  #drawAnew(): void {
    this.#list.reshape(this.lineHeight);
    this.redraw();
    this.#settle();
  }

  #prepare(): void {
    this.#measure();
    this.#heard.settling();
  }

  #draw(): void {
    const content = this.#heard.drawing();
    this.#count = content.count;
    if (this.#viewport === 0) return;
    this.#anchor = this.#pinned ?? this.#anchor;
    const extent = this.#extent();
    const atEnd = isEnd(this.#anchor, extent);
    if (atEnd) this.#anchor = this.#count === 0 ? START : end(extent);
    this.#list.widen(String(content.sequenceOf(this.#count - 1)).length);
    let heights: number[] = [];
    let first = 0;
    // A second time where the end leaves room below, or a bar covers it, a third where what was drawn above then is not enough.
    for (let round = 0; round < 3; round += 1) {
      first = firstNeeded(this.#anchor, extent);
      heights = this.#list.fill(content, first, this.#anchor, this.#viewport);
      this.#anchor = settled(this.#anchor, first, heights);
      const left = this.#roomBelow(first, heights);
      if (left === 0 || (left < 0 && !atEnd) || (left > 0 && this.#anchor.row === 0 && this.#anchor.px === 0)) break;
      this.#anchor = { row: this.#anchor.row, px: this.#anchor.px - left };
    }
    this.#show(first, heights);
    this.#bar.stretch(extent);
    this.#tell(first, heights);
    this.#findAgain();
    // At once: the browser's own keys, and a wheel, go on from where the bar is.
    if (this.#jumped && this.#count > 0) {
      this.#putRight();
      this.#jumped = false;
    }
  }

  readonly #onScroll = (): void => {
    const move = this.#bar.moved();
    if (!move) return;
    // As where the middle button is held to scroll by the hand's moves.
    this.#frame.release();
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#movedTo(scrolled(this.#anchor, move.from, move.to, this.#extent()), move.to - move.from);
  };

  /** The browser has brought a row into view by itself, as its own search does: the window goes there, and not its content. */
  readonly #onShifted = (): void => {
    const by = this.#window.scrollTop;
    if (by === 0) return;
    this.#window.scrollTop = 0;
    // From where it was drawn, which may be another place than it was told to be at.
    this.#movedTo(moved(this.#anchor, by, this.#extent()), by);
  };

  #movedTo(anchor: Anchor, by: number): void {
    this.#pinned = null;
    this.#looking.left();
    this.#anchor = anchor;
    this.#moved = (this.#moved ?? 0) + by;
    this.#heard.scrolled(by);
    this.redraw();
    this.#settle();
  }

  #go(anchor: Anchor): void {
    this.#looking.left();
    // Whoever follows the end is there already.
    this.#jumped ||= this.#pinned?.row !== anchor.row || this.#pinned.px !== anchor.px;
    this.#pinned = anchor;
    this.#anchor = anchor;
    this.#moved = null;
    this.redraw();
    this.#settle();
  }

  #extent(): Extent {
    return { rows: this.#count, rowHeight: this.#rowHeight, lineHeight: this.lineHeight, viewport: this.#viewport };
  }

  /** Tells how large all is, where that was not told yet. */
  #measure(): void {
    if (this.#viewport === 0) this.#resize();
  }

  #resize(): void {
    // The font may be another by now, or fingers have taken the place of a mouse. What is not shown has no height.
    const line = this.#probe.offsetHeight || this.#lineHeight;
    const { clientHeight: height, clientWidth: width } = this.element;
    const isSameLine = line === this.#lineHeight && this.#rowHeight > 0;
    if (isSameLine && height === this.#viewport && width === this.#width) return;
    if (!isSameLine) this.#shapeBy(line);
    if (height !== this.#viewport) this.#window.style.setProperty("height", `${height}px`);
    const before = this.#viewport;
    const isSameShape = isSameLine && width === this.#width;
    this.#viewport = height;
    this.#width = width;
    const looked = this.#heard.lookedAt();
    // Whoever saw the end before still sees it, unless he looks at a line.
    if (!looked && this.atEnd && before > 0) this.#anchor = END;
    // A window that has grown may have moved the scroller, which is nobody's wish.
    this.#bar.accept();
    if (isSameShape) this.#uncover(looked, before);
    else {
      this.#looking.reshaped(looked);
      this.#drawAnew();
    }
    this.redraw();
    this.#settle();
  }

  /** The line that is looked at is still seen where the window has become smaller, as above a bar that choosing brings. */
  #uncover(looked: Looked | null, viewport: number): void {
    const window = { told: this.#pinned ?? this.#anchor, drawn: this.#anchor, from: viewport, to: this.#viewport };
    const anchor = this.#looking.resized({ ...window, covered: this.#coveredOf(looked) ?? 0 });
    if (anchor) this.#stand(anchor);
  }

  /** The line that was looked at is seen also where all lines have taken another shape. */
  #findAgain(): void {
    const looked = this.#looking.lost();
    if (!looked) return;
    const covered = this.#coveredOf(looked);
    if (covered === null) this.toRow(looked.row);
    else if (covered > 0) this.goOn(covered);
  }

  #coveredOf(looked: Looked | null): number | null {
    return looked && this.pane.coveredOf(looked.sequence, this.#lineHeight);
  }

  /** What of the window is empty below the last row. */
  #roomBelow(first: number, heights: readonly number[]): number {
    if (first + heights.length < this.#count) return 0;
    const below = heights.slice(this.#anchor.row - first).reduce((sum, height) => sum + height, -this.#anchor.px);
    return this.pane.room - below;
  }

  #show(first: number, heights: readonly number[]): void {
    const above = heights.slice(0, this.#anchor.row - first).reduce((sum, height) => sum + height, this.#anchor.px);
    this.#list.show(above);
  }

  #tell(first: number, heights: readonly number[]): void {
    const top = this.#anchor.row - first;
    this.#below = below(this.#anchor, heights.slice(top), { ...this.#extent(), viewport: this.pane.room });
    const seen = heights.length - top - this.#below.drawn;
    this.#heard.drawn(this.#list.shown.slice(top, top + seen).map((row) => row.sequence));
    if (this.#moved === null) return;
    const moved = this.#moved;
    this.#moved = null;
    // At its edge the bar would stop the person while there is more to see.
    if (this.#bar.isAtEdge(this.#extent())) this.#putRight();
    if (this.atEnd) this.#heard.sawEnd(moved > 0);
  }

  /** Whether the end is seen. */
  get atEnd(): boolean {
    return this.#below.rows === 0 && this.#below.px < 1;
  }

  #settle(): void {
    this.#rest ??= setTimeout(() => {
      this.#rest = undefined;
      // A frame, or a scroll that has not been told of yet, is to come first: its bar must not be put back.
      if (this.#frame.isDue || this.#bar.isMoving) {
        this.#settle();
        return;
      }
      this.#list.keepWidth(this.#window.clientWidth);
      this.#average();
      this.#putRight();
    }, REST_MS);
  }

  #average(): void {
    if (this.#list.shown.length === 0 || this.#measured.rows >= SAMPLE * 5) return;
    for (const row of this.#list.shown) this.#measured.px += row.height ?? this.lineHeight;
    this.#measured.rows += this.#list.shown.length;
    this.#rowHeight = Math.max(this.lineHeight, this.#measured.px / this.#measured.rows);
  }

  /** Puts the bar where the anchor belongs. */
  #putRight(): void {
    const extent = this.#extent();
    this.#bar.stretch(extent);
    this.#bar.put(placeOf(this.#anchor, this.#below, extent));
  }

  /** The anchor at a share of the whole, as a press on the marks beside the bar asks for it. */
  toShare(share: number): void {
    const extent = this.#extent();
    this.#go(at(share * (spacerHeight(extent) - extent.viewport), extent));
  }
}
