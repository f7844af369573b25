/** A regular expression as the server takes it → the program that finds it. */

import type { Edge, Meant, Step } from "./expression";

/** Steps of a program: beyond them a pattern is not marked. */
const MAX_PROGRAM = 2_000;

const EDGES: Readonly<Record<string, Edge>> = { A: "start", z: "end", b: "word", B: "inWord" };
const CONTROLS: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f", v: "\v", a: "\x07" };
/** As the server means them, which knows all scripts; for within brackets. */
const KINDS: Readonly<Record<string, string>> = {
  d: "\\p{Nd}",
  D: "\\P{Nd}",
  w: "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}",
  s: "\\p{White_Space}",
  S: "\\P{White_Space}",
};

class Unknown extends Error {}

/** The program, or `null` for what is not known here: the server may know it all the same. */
export function parse(pattern: string, matchCase: boolean): Step[] | null {
  try {
    return new Parser(pattern, !matchCase).whole();
  } catch (error) {
    // Also what the browser says of a class of characters that it does not know.
    if (error instanceof Unknown || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A piece of a program, whose ways are counted from its own beginning. */
type Part = Step[];

class Parser {
  readonly #pattern: string;
  #at = 0;
  #anyCase: boolean;

  constructor(pattern: string, anyCase: boolean) {
    this.#pattern = pattern;
    this.#anyCase = anyCase;
  }

  whole(): Step[] {
    const part = this.#either();
    if (this.#at < this.#pattern.length) throw new Unknown();
    return [...part, { do: "found" }];
  }

  #take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** What comes next, if it looks like this. */
  #match(what: RegExp): RegExpExecArray | null {
    what.lastIndex = this.#at;
    const match = what.exec(this.#pattern);
    if (match) this.#at = what.lastIndex;
    return match;
  }

  #either(): Part {
    const anyCase = this.#anyCase;
    let part = this.#sequence();
    while (this.#take("|")) {
      const other = this.#sequence();
      part = bounded([
        { do: "go", ways: [1, part.length + 2] },
        ...moved(part, 1),
        { do: "go", ways: [part.length + other.length + 2] },
        ...moved(other, part.length + 2),
      ]);
    }
    this.#anyCase = anyCase;
    return part;
  }

  #sequence(): Part {
    let part: Part = [];
    while (this.#at < this.#pattern.length && !/[|)]/.test(this.#pattern[this.#at] ?? "")) {
      part = joined(part, this.#repeated());
    }
    return part;
  }

  #repeated(): Part {
    let part = this.#one();
    for (;;) {
      const match = this.#match(/([*+?]|\{(\d+)(,(\d*))?\})(\??)/y);
      if (!match) return part;
      const [, sign, least, more, most, lazy] = match;
      if (sign === "*") part = any(part, lazy === "?");
      else if (sign === "+") part = joined(part, any(part, lazy === "?"));
      else if (sign === "?") part = maybe(part, lazy === "?");
      else part = times(part, Number(least), more === undefined ? Number(least) : numberOr(most), lazy === "?");
    }
  }

  #one(): Part {
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return this.#meant(this.#brackets());
    if (this.#take("\\")) return this.#escaped();
    if (this.#take("^")) return [{ do: "edge", edge: "start" }];
    if (this.#take("$")) return [{ do: "edge", edge: "end" }];
    if (this.#take(".")) return [{ do: "take", meant: () => true }];
    const [character] = this.#pattern.slice(this.#at, this.#at + 2);
    if (character === undefined || "*+?{".includes(character)) throw new Unknown();
    this.#at += character.length;
    return this.#literal(character);
  }

  #group(): Part {
    const anyCase = this.#anyCase;
    const flags = this.#match(/\?(i|-i|)([:)])/y);
    if (flags) {
      if (flags[1] !== "") this.#anyCase = flags[1] === "i";
      // For what comes behind it, up to the end of the group around it.
      if (flags[2] === ")") return [];
    } else if (!this.#match(/\?P?<[A-Za-z_]\w*>/y) && this.#take("?")) throw new Unknown();
    const part = this.#either();
    if (!this.#take(")")) throw new Unknown();
    this.#anyCase = anyCase;
    return part;
  }

  #escaped(): Part {
    const edge = EDGES[this.#pattern[this.#at] ?? ""];
    if (edge) {
      this.#at += 1;
      return [{ do: "edge", edge }];
    }
    const meant = this.#escape();
    return /^.$/su.test(meant) ? this.#literal(meant) : this.#meant(`[${meant}]`);
  }

  /** What stands behind a backslash: one character, or a kind of them as it stands in brackets. */
  #escape(): string {
    const property = this.#match(/([pP])(?:\{(\^?)(\w+)\}|(\w))/y);
    if (property) return `\\${property[2] ? "P" : property[1]}{${property[3] ?? property[4]}}`;
    const code = this.#match(/x([0-9A-Fa-f]{2})|[xu]\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})/y);
    if (code) return String.fromCodePoint(Number.parseInt(code[1] ?? code[2] ?? code[3] ?? "", 16));
    const character = this.#pattern[this.#at] ?? "";
    this.#at += 1;
    if (character === "W") return "\\W";
    const known = KINDS[character] ?? CONTROLS[character];
    if (known !== undefined) return known;
    if (!/^[!-/:-@[-`{-~ ]$/.test(character)) throw new Unknown();
    return character;
  }

  /** A class in brackets, as the browser takes it. Classes within classes are not known. */
  #brackets(): string {
    let written = this.#take("^") ? "[^" : "[";
    do written += this.#inBrackets(written.endsWith("[") || written === "[^");
    while (!this.#take("]"));
    return `${written}]`;
  }

  #inBrackets(isFirst: boolean): string {
    const [character] = this.#pattern.slice(this.#at, this.#at + 2);
    if (character === undefined || this.#match(/\[|&&|--|~~/y)) throw new Unknown();
    this.#at += character.length;
    if (character === "-") return isFirst || this.#pattern[this.#at] === "]" ? "\\-" : "-";
    const meant = character === "\\" ? this.#escape() : character;
    return /^.$/su.test(meant) ? quoted(meant) : meant;
  }

  #literal(character: string): Part {
    return this.#meant(`[${quoted(character)}]`);
  }

  #meant(written: string): Part {
    return [{ do: "take", meant: meantBy(new RegExp(`^${written}$`, this.#anyCase ? "iu" : "u")) }];
  }
}

const quoted = (character: string) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** Most characters are ASCII, and come again. */
function meantBy(expression: RegExp): Meant {
  const known = new Int8Array(128);
  const look = (code: number) => expression.test(String.fromCodePoint(code));
  return (code) => {
    if (code >= known.length) return look(code);
    known[code] ||= look(code) ? 1 : -1;
    return known[code] === 1;
  };
}

function bounded(part: Part): Part {
  if (part.length > MAX_PROGRAM) throw new Unknown();
  return part;
}

function moved(part: Part, by: number): Part {
  return part.map((step) => (step.do === "go" ? { do: "go", ways: step.ways.map((way) => way + by) } : step));
}

function joined(one: Part, other: Part): Part {
  return bounded([...one, ...moved(other, one.length)]);
}

function maybe(part: Part, lazy: boolean): Part {
  const ways = [1, part.length + 1];
  return bounded([{ do: "go", ways: lazy ? ways.reverse() : ways }, ...moved(part, 1)]);
}

function any(part: Part, lazy: boolean): Part {
  const ways = [1, part.length + 2];
  return bounded([{ do: "go", ways: lazy ? ways.reverse() : ways }, ...moved(part, 1), { do: "go", ways: [0] }]);
}

function times(part: Part, least: number, most: number, lazy: boolean): Part {
  // Nothing, however often, is nothing; and what is too often is known before it is written out.
  if (part.length === 0) return part;
  if (least > MAX_PROGRAM || most < least) throw new Unknown();
  let result: Part = [];
  for (let count = 0; count < least; count += 1) result = joined(result, part);
  if (most === Number.POSITIVE_INFINITY) return joined(result, any(part, lazy));
  if (most > MAX_PROGRAM) throw new Unknown();
  let rest: Part = [];
  for (let count = least; count < most; count += 1) rest = maybe(joined(part, rest), lazy);
  return joined(result, rest);
}

function numberOr(text: string | undefined): number {
  return text === undefined || text === "" ? Number.POSITIVE_INFINITY : Number(text);
}
