/**
 * Where a regular expression is in a line, to mark it. The browser's own engine goes back and tries again, and a pattern
 * can keep it busy for ever; this one goes through the text once with all ways at a time, as the server's does, and stops
 * after a bounded number of steps. It knows what people write; for the rest it is `null`, and nothing is marked.
 */

import { parse } from "./expressionParser";

/** Steps in one text: enough for a few thousand characters of any usual pattern. */
const MAX_STEPS = 50_000;

/** Whether a character, by its code point, is one that is meant. */
export type Meant = (code: number) => boolean;
export type Edge = "start" | "end" | "word" | "inWord";

/** What is done at a place of the program, which goes on behind it or elsewhere; of two ways the first is liked better. */
export type Step =
  | { readonly do: "take"; readonly meant: Meant }
  | { readonly do: "edge"; readonly edge: Edge }
  | { readonly do: "go"; readonly ways: readonly number[] }
  | { readonly do: "found" };

interface Text {
  readonly codes: readonly number[];
  /** Where each character begins, in units of the string; one more at its end. */
  readonly offsets: readonly number[];
}

/** Ways through the program that are open at one place of the text, those that are liked better first. */
class Ways {
  readonly at: number[] = [];
  readonly from: number[] = [];
  /** For each step the place for which it was opened last, counted anew each time. */
  readonly #opened: Int32Array;
  #turn = 0;

  constructor(program: readonly Step[]) {
    this.#opened = new Int32Array(program.length);
  }

  clear(): void {
    this.at.length = 0;
    this.from.length = 0;
    this.#turn += 1;
  }

  /** Opens a way, and all that it leads to without a character. */
  open(program: readonly Step[], at: number, from: number, text: Text, place: number): void {
    if (this.#opened[at] === this.#turn) return;
    this.#opened[at] = this.#turn;
    const step = program[at];
    if (step?.do === "go") for (const way of step.ways) this.open(program, way, from, text, place);
    else if (step?.do === "edge") {
      if (isAt(step.edge, text, place)) this.open(program, at + 1, from, text, place);
    } else {
      this.at.push(at);
      this.from.push(from);
    }
  }
}

export class Expression {
  readonly #program: readonly Step[];

  constructor(program: readonly Step[]) {
    this.#program = program;
  }

  /** Of what people write; `null` where it is not known what it means. */
  static of(pattern: string, matchCase: boolean): Expression | null {
    const program = parse(pattern, matchCase);
    return program && new Expression(program);
  }

  /** The first places, as many as asked for at most, one behind the other, none of them empty. */
  places(string: string, most: number): [number, number][] {
    const text = textOf(string);
    const ways: [Ways, Ways] = [new Ways(this.#program), new Ways(this.#program)];
    const found: [number, number][] = [];
    const left = { steps: MAX_STEPS };
    for (let place = 0; place <= text.codes.length && found.length < most; ) {
      const next = this.#next(text, place, ways, left);
      if (!next) break;
      const [first, end] = next;
      if (end > first) found.push([text.offsets[first] ?? 0, text.offsets[end] ?? string.length]);
      place = Math.max(end, first + 1);
    }
    return found;
  }

  #next(text: Text, begin: number, [one, other]: [Ways, Ways], left: { steps: number }): [number, number] | null {
    let [open, next] = [one, other];
    let found: [number, number] | null = null;
    open.clear();
    for (let place = begin; place <= text.codes.length; place += 1) {
      // Once one is found, nothing that begins later is liked better.
      if (!found) open.open(this.#program, 0, place, text, place);
      else if (open.at.length === 0) break;
      left.steps -= open.at.length + 1;
      if (left.steps <= 0) return null;
      next.clear();
      found = this.#step(open, next, text, place) ?? found;
      [open, next] = [next, open];
    }
    return found;
  }

  /** Takes a character on all ways; what is found with that. */
  #step(open: Ways, next: Ways, text: Text, place: number): [number, number] | null {
    const code = text.codes[place];
    for (const [index, at] of open.at.entries()) {
      const from = open.from[index] ?? 0;
      const step = this.#program[at];
      // The ways behind this one are liked less.
      if (step?.do === "found") return [from, place];
      if (step?.do === "take" && code !== undefined && step.meant(code))
        next.open(this.#program, at + 1, from, text, place + 1);
    }
    return null;
  }
}

function textOf(string: string): Text {
  const codes: number[] = [];
  const offsets: number[] = [];
  // Each character is a step at least.
  for (let at = 0; at < string.length && codes.length < MAX_STEPS; ) {
    const code = string.codePointAt(at) ?? 0;
    codes.push(code);
    offsets.push(at);
    at += code > 0xffff ? 2 : 1;
  }
  offsets.push(string.length);
  return { codes, offsets };
}

const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

function isAt(edge: Edge, { codes }: Text, place: number): boolean {
  if (edge === "start") return place === 0;
  if (edge === "end") return place === codes.length;
  const isWord = (at: number) => WORD.test(String.fromCodePoint(codes[at] ?? 0));
  return (isWord(place - 1) !== isWord(place)) === (edge === "word");
}
