/** Characters that would deceive the eye, or that no font shows, become marks that can be seen. */

export interface Piece {
  readonly text: string;
  /** What the text stands for, where it is a mark. */
  readonly control: string | null;
}

/** Ranges of code points. Tabs stay; so do joiners, which emoji and Indic scripts need. */
const RANGES = "0-8 a-1f 7f-9f ad 61c 115f 180e 200b 200e-200f 2028-202e 2060-206f feff fff9-fffb e0000-e007f";
const HIDDEN = new RegExp(`[${RANGES.replaceAll(/[0-9a-f]+/g, "\\u{$&}").replaceAll(" ", "")}]`, "gu");

const NAMES: Readonly<Record<string, string>> = {
  "U+202A": "LEFT-TO-RIGHT EMBEDDING",
  "U+202B": "RIGHT-TO-LEFT EMBEDDING",
  "U+202C": "POP DIRECTIONAL FORMATTING",
  "U+202D": "LEFT-TO-RIGHT OVERRIDE",
  "U+202E": "RIGHT-TO-LEFT OVERRIDE",
  "U+2066": "LEFT-TO-RIGHT ISOLATE",
  "U+2067": "RIGHT-TO-LEFT ISOLATE",
  "U+2068": "FIRST STRONG ISOLATE",
  "U+2069": "POP DIRECTIONAL ISOLATE",
};

/** Marks beyond these in one line are not told apart: each is a node. */
export const MAX_MARKS = 64;

/** The text in pieces, each plain or one mark; of marks so many at most. */
export function pieces(text: string, most = MAX_MARKS): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  let marks = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index), control: null });
    at = match.index + match[0].length;
    marks += 1;
    if (marks > most) {
      const rest = text.slice(match.index).replace(HIDDEN, "\u{fffd}");
      found.push({ text: rest, control: null });
      return found;
    }
    found.push(mark(match[0]));
  }
  if (at < text.length) found.push({ text: text.slice(at), control: null });
  return found;
}

function mark(character: string): Piece {
  const code = character.codePointAt(0) ?? 0;
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  const control = NAMES[name] ? `${name} ${NAMES[name]}` : name;
  // As terminals write them; few fonts have pictures of control characters.
  if (code < 0x20 || code === 0x7f) return { text: `^${String.fromCharCode(code ^ 0x40)}`, control };
  return { text: `[${name}]`, control };
}

/** The beginning of a text, never through the middle of a character. */
export function beginning(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const code = text.charCodeAt(characters - 1);
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? characters - 1 : characters);
}
