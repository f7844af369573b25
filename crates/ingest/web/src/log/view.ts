/**
 * A log and the window onto it: where it opens, what follows, what is chosen, folded and unfolded. Components press its
 * verbs and show its fields; `told` grows when these have changed, a few times a second at most.
 */

import { notice } from "../notices";
import { Cell, Pulse } from "../store";
import { Aim, type Where } from "./aim";
import { Asker } from "./asker";
import { Choice } from "./choice";
import { described } from "./described";
import { toggled } from "./filter";
import { Finding, type Match } from "./finding";
import { Following } from "./following";
import type { Group } from "./groups";
import type { Source } from "./line";
import type { Content } from "./list";
import { Log } from "./model";
import { Opened } from "./opened";
import { Opener } from "./opener";
import { type Opening, openingAt } from "./opening";
import { Bookmark, type Place } from "./place";
import type { Surroundings } from "./row";
import { type Range, type Rows, renumbering } from "./rows";
import { Scroller } from "./scroller";
import { Selected } from "./selected";
import { Sight } from "./sight";
import type { Start } from "./start";
import { Steps } from "./steps";

/** Components are drawn anew so often at most; rows with each frame. */
const TELL_MS = 100;

export class View {
  readonly log: Log;
  readonly #pulse = new Pulse(TELL_MS);
  readonly told = this.#pulse.count;
  readonly scroller: Scroller;
  readonly selected: Selected;
  around: Surroundings;
  readonly #following = new Following();
  /** How often the person has gone anywhere, or stays for something that he uses. */
  touches = 0;
  readonly choice: Choice;
  /** The line that a key went to, to be read out. */
  readonly aloud = new Cell<number | null>(null);
  readonly sight = new Sight();
  readonly steps: Steps;
  #rows: Rows;
  /** The log is another than the one that is drawn. */
  #hasChanged = false;
  readonly #opener: Opener;
  readonly #aim: Aim;
  readonly #finding: Finding;
  readonly #bookmark: Bookmark;
  readonly #opened: Opened;
  readonly #asker: Asker;
  /** The line that was first seen when streams were hidden, and where it was, as long as the person goes nowhere. */
  #unfiltered: { readonly line: number; readonly top: number } | null = null;

  constructor(worker: string, element: HTMLElement, around: Surroundings, start: Start) {
    this.around = around;
    this.choice = new Choice(start.chosen);
    this.#bookmark = new Bookmark(start.place, start.remember);
    this.#opened = new Opened(worker);
    const told = {
      changed: () => this.#changed(),
      read: () => this.scroller.redraw(),
      renewed: start.renewed,
    };
    this.log = new Log(worker, start.tail, told, () => this.#kept);
    this.#asker = new Asker(this.log);
    this.#aim = new Aim(this.log, {
      reached: (line, where) => {
        this.sight.ahead(line);
        this.scroller.toRow(this.log.rows.rowOf(line), where);
      },
      streamShown: (source) => notice(this.around.texts.streamShown(source)),
    });
    this.#finding = new Finding(this.log);
    this.steps = new Steps(this.log, this.choice, this.sight);
    this.#opener = new Opener(this.log, {
      open: (opening) => this.#openAt(opening),
      showEnd: () => {
        this.log.opened();
        this.scroller.toEnd();
      },
    });
    this.#rows = this.log.rows;
    this.selected = new Selected(element);
    this.scroller = new Scroller(element, {
      settling: () => this.#settle(),
      drawing: () => {
        this.selected.drawing();
        this.#takeIn();
        return this.#content;
      },
      drawn: (sequences) => this.#drawn(sequences),
      lookedAt: () => {
        const sequence = this.follow ? null : this.steps.cursor;
        return sequence === null ? null : { sequence, row: this.log.rows.rowOf(sequence) };
      },
      scrolled: (by) => this.#scrolled(by),
      sawEnd: (down) => this.#sawEnd(down),
    });
    this.log.open(start.known);
  }

  close(): void {
    this.#pulse.close();
    this.#opener.close();
    this.#asker.close();
    this.log.close();
    this.scroller.close();
  }

  /** Lines that came since the person stopped following. */
  get fresh(): number {
    return this.#opener.isSettled ? this.#following.fresh(this.log.rows) : 0;
  }

  get follow(): boolean {
    return this.#following.isOn;
  }

  redraw(): void {
    this.scroller.redraw();
    this.#pulse.tell();
  }

  /** Rows take other heights from now on. */
  reshape(): void {
    this.scroller.reshape();
    if (this.follow) this.scroller.toEnd();
    this.#pulse.tell();
  }

  setFollow(follow: boolean): void {
    this.#leave();
    this.#following.turn(follow, this.log.end);
    if (follow) this.scroller.toEnd();
    else this.scroller.unpin();
    this.redraw();
  }

  /** What is shown stays: somebody uses it. */
  hold(): void {
    const isLed = !this.#opener.isSettled || this.#aim.waits || this.#finding.from !== null;
    if (this.follow || isLed) this.setFollow(false);
  }

  /** Something of a row is pressed, which is to stay under the hand. */
  pressed(): void {
    this.#leave();
    if (!this.follow) this.scroller.unpin();
  }

  /** The person goes by himself: nothing else leads him on. */
  #leave(): void {
    if (!this.#opener.isSettled) this.#following.opened(this.log.end);
    this.#opener.settle();
    this.touches += 1;
    this.#aim.drop();
    this.#finding.drop();
    this.#unfiltered = null;
  }

  toStart(): void {
    if (this.#opener.wishes("start")) return;
    this.setFollow(false);
    this.choice.cursor = null;
    this.steps.lead = "start";
    this.sight.drawn([this.log.rows.sequenceOf(0)]);
    this.scroller.toStart();
  }

  toEnd(): void {
    if (this.#opener.wishes("end")) return;
    this.choice.cursor = null;
    this.steps.lead = "end";
    this.setFollow(this.log.running);
    this.#following.sawEnd(this.log.end);
    this.sight.drawn([this.log.rows.sequenceOf(Number.MAX_SAFE_INTEGER)]);
    this.scroller.toEnd();
  }

  /** Shows a line, whatever hides it; of a log that runs, one that is not there yet once it comes. */
  toLine(sequence: number, where: Where = "third"): void {
    this.setFollow(false);
    const { end } = this.log;
    const line = Math.max(1, this.log.running ? sequence : Math.min(sequence, end));
    if (line > end) this.scroller.toEnd();
    if (this.log.groups.reveal(line)) this.log.refold();
    this.#aim.at(line, where);
    this.redraw();
  }

  /** The same with a line that was named from outside, as by a link, and may not be there. */
  #toNamed(line: number, where?: Where): void {
    this.toLine(line, where);
    this.#opener.named(line);
    if (line > this.log.end) notice(this.around.texts.beyondEnd(line, this.log.end, this.log.running));
  }

  /** Chooses a line, or from the one chosen before up to this one. */
  choose(sequence: number, extend: boolean): Range {
    const range = this.choice.take(sequence, extend, this.steps.cursor);
    this.setFollow(false);
    return range;
  }

  /** What the address says. */
  setChosen(range: Range | null, show: boolean): void {
    this.choice.name(range);
    if (range && show) {
      this.choice.cursor = range[0];
      if (this.log.worker) this.#toNamed(range[0]);
    }
    this.redraw();
  }

  /** The person came back to an entry of the browser's history in which this log was left there. */
  returned(place: Place | null): void {
    if (place && this.isOf(place)) this.#goTo(openingAt(place));
  }

  /** The address that names these lines was entered once more. */
  namedAgain(line: number): void {
    if (this.choice.range?.[0] === line && this.log.worker) this.#toNamed(line);
  }

  /** Whether a place is of this log, and of no other that had its name. */
  isOf(place: Place | null): boolean {
    return place !== null && place.begun === this.log.worker?.created_at;
  }

  /** Goes to a line, and has keys start from there. */
  #stepTo(line: number, where: Where = "third"): void {
    this.toLine(line, where);
    this.choice.cursor = line;
  }

  #stepsTo(line: number | null): boolean {
    if (line !== null) this.#stepTo(line);
    return line !== null;
  }

  /** Goes to the next or the previous group; whether there is one. */
  toGroup(forward: boolean): boolean {
    return this.#stepsTo(this.steps.group(forward));
  }

  /** Goes to the next failure; whether there is one. */
  toFailure(): boolean {
    return this.#stepsTo(this.steps.failure());
  }

  /** Folds or unfolds a group whose first line is shown: that stays where it is, if it is seen. Whether there is one. */
  fold(group: Group | undefined): boolean {
    if (!group || this.log.filter.hides(group.first)) return false;
    const top = this.scroller.pane.topOf(group.first);
    this.setFollow(false);
    this.log.groups.fold(group, !this.log.groups.isFolded(group));
    this.choice.cursor = group.first;
    this.log.refold();
    const row = this.log.rows.rowOf(group.first);
    if (top === null) this.scroller.toRow(row);
    else this.scroller.toTop(row, top);
    return true;
  }

  foldAll(folded: boolean): void {
    this.log.groups.foldAll(folded);
    this.log.refold();
  }

  find(query: Parameters<Log["find"]>[0], from: number | null): void {
    this.#finding.begin(query ? from : null);
    this.log.find(query);
    this.redraw();
  }

  /** Goes to the next match, or the previous one; from the other end where there is none. */
  toHit(forward: boolean): Match | null {
    const match = this.#finding.next(forward ? this.steps.before : this.steps.behind, forward);
    if (match) this.#toMatch(match.line);
    return match;
  }

  #toMatch(line: number, where?: Where): void {
    this.#stepTo(line, where);
    this.#finding.unseen = line;
  }

  toggleSource(source: Source): void {
    this.#opener.named(null);
    const needed = this.follow ? this.log.end : this.sight.last;
    const isWhole = () => this.log.filter.sources.length === 0;
    const { top } = this.sight;
    if (isWhole()) this.#unfiltered = { line: top, top: this.scroller.pane.topOf(top) ?? 0 };
    this.log.setSources(toggled(this.log.filter.shown, source), needed);
    if (this.follow) this.scroller.toEnd();
    else if (isWhole() && this.#unfiltered) {
      this.scroller.toTop(this.log.rows.rowOf(this.#unfiltered.line), this.#unfiltered.top);
      this.scroller.unpin();
    }
  }

  toggleHistory(sequence: number): void {
    this.#opened.toggleHistory(sequence);
    this.setFollow(false);
  }

  async showMore(sequence: number): Promise<void> {
    const entry = this.log.get(sequence);
    if (entry?.kind !== "line") return;
    this.setFollow(false);
    await this.#opened.more(entry);
    this.redraw();
  }

  get #content(): Content {
    const { rows } = this.log;
    return {
      count: this.#opener.isShown ? rows.count : 0,
      sequenceOf: (row) => rows.sequenceOf(row),
      view: (sequence, above) => described(this, this.#opened, sequence, above),
    };
  }

  /** What has come is read only where it is seen, or would be next. */
  #takeIn(): void {
    const { rows } = this.log;
    this.log.takeIn(this.follow || rows.count - rows.rowOf(this.sight.last) <= 3 * this.scroller.page);
  }

  #drawn(sequences: readonly number[]): void {
    this.sight.drawn(sequences);
    this.selected.drawn();
    if (sequences.length === 0) return;
    this.#following.drawn(this.log.end);
    this.#asker.seen(sequences, this.scroller.page);
    this.#showMark(this.#finding.unseen);
    if (this.#opener.isSettled) this.#placed();
  }

  /** The match that was gone to is seen also in a line that is wider or higher than the window. */
  #showMark(match: number | null): void {
    const below = match === null ? null : this.scroller.pane.showMark(match);
    if (below === null) return;
    this.#finding.unseen = null;
    if (below > 0) this.scroller.goOn(below);
  }

  #placed(): void {
    // Whoever comes back is to wait for the same line, as the address says.
    if (this.#aim.waits) return;
    const closed = this.log.worker?.state === "closed";
    const top = this.follow ? "follow" : closed && this.scroller.atEnd ? "end" : this.sight.top;
    this.#bookmark.put({ begun: this.log.worker?.created_at ?? "", top, cursor: this.choice.cursor });
  }

  #scrolled(by: number): void {
    if (!this.#opener.isSettled) this.#pulse.tell();
    this.#leave();
    if (this.follow && by < 0) this.setFollow(false);
  }

  #sawEnd(down: boolean): void {
    // Whoever drags a selection there is not to lose it.
    if (!this.follow && this.log.running && down && !this.selected.isBeingMade) this.setFollow(true);
    if (this.fresh === 0) return;
    this.#following.sawEnd(this.log.end);
    this.#pulse.tell();
  }

  /** What the person looks at, or asked to see. */
  get #kept(): number[] {
    const { asked } = this.choice;
    return this.follow ? asked : [...asked, ...this.sight.lines];
  }

  #changed(): void {
    if (this.log.rows !== this.#rows) this.#keepPlace();
    this.#opener.begin(this.#bookmark.place, this.choice.range?.[0] ?? null);
    const hidden = this.#opener.hidden();
    if (hidden !== null) this.#ledByItself(() => this.toLine(hidden));
    this.#aim.reach();
    this.#hasChanged = true;
    this.scroller.redraw();
    this.#pulse.tell();
  }

  /** What is at the top stays there when rows above it come or go. */
  #keepPlace(): void {
    const before = this.#rows;
    this.#rows = this.log.rows;
    this.scroller.renumber(renumbering(before, this.#rows, this.sight.top), this.#rows.count);
  }

  #settle(): void {
    if (!this.#hasChanged) return;
    this.#hasChanged = false;
    const hit = this.#finding.first();
    if (hit !== null) this.#ledByItself(() => this.#toMatch(hit, "nearest"));
    if (this.follow) this.scroller.toEnd();
  }

  #openAt(opening: Opening): void {
    this.#ledByItself(() => this.#goTo(opening));
    this.log.opened();
    const { to } = opening;
    this.#asker.around(to === "start" ? 1 : to === "end" ? this.log.end : to, this.scroller.page);
  }

  /** The log goes somewhere, and not the person: a search that he has begun leads on. */
  #ledByItself(go: () => void): void {
    const { touches } = this;
    const { from } = this.#finding;
    go();
    this.#finding.begin(from);
    this.touches = touches;
  }

  #goTo({ to, where, cursor }: Opening): void {
    if (to === "start") this.toStart();
    else if (to === "end") this.toEnd();
    else this.#toNamed(to, where);
    this.choice.cursor = cursor;
  }
}
