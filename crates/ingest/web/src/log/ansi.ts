/**
 * Terminal escapes → styled spans of plain text. Colours, weight and links are kept, whatever else a terminal would do
 * is left out. What a sequence says is bounded: so many spans a line, so long a link. Takes time linear in the text.
 */

/** 0–15: the terminal's own colours; 16 and up: `0x1000000 | rgb`. */
export type Colour = number;

const RGB = 0x1000000;

export interface Style {
  readonly fg: Colour | null;
  readonly bg: Colour | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly inverse: boolean;
}

export const PLAIN: Style = Object.freeze({
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
});

export interface Span {
  readonly text: string;
  readonly style: Style;
  readonly href: string | null;
}

export interface Painted {
  readonly spans: readonly Span[];
  /** The style with which the next line begins. */
  readonly style: Style;
}

/** More in one line become one span: nobody sees more than that, and each is a node. */
export const MAX_SPANS = 256;
const MAX_LINK = 2083;
const ESC = "\x1b";
const BEL = "\x07";
const ST = "\x1b\\";

/** The text as spans, from the style that the line before left. */
export function paint(text: string, style: Style): Painted {
  if (!text.includes(ESC)) {
    return { spans: text === "" ? [] : [{ text, style, href: null }], style };
  }
  const spans: Span[] = [];
  let current = style;
  let href: string | null = null;
  let pending = "";
  const flush = () => {
    if (pending === "") return;
    spans.push({ text: pending, style: current, href });
    pending = "";
  };
  for (const token of tokens(text)) {
    if (token.kind === "text") {
      pending += token.text;
      continue;
    }
    if (spans.length >= MAX_SPANS - 1) continue;
    flush();
    if (token.kind === "sgr") current = select(current, token.codes);
    else href = token.href;
  }
  flush();
  return { spans, style: spans.length >= MAX_SPANS - 1 ? advance(text, style) : current };
}

/** The style that a text leaves for the next line. */
export function advance(text: string, style: Style): Style {
  if (!text.includes(ESC)) return style;
  let current = style;
  for (const token of tokens(text)) if (token.kind === "sgr") current = select(current, token.codes);
  return current;
}

/** The text as people see it. */
export function plain(text: string): string {
  if (!text.includes(ESC)) return text;
  let seen = "";
  for (const token of tokens(text)) if (token.kind === "text") seen += token.text;
  return seen;
}

type Token = { kind: "text"; text: string } | { kind: "sgr"; codes: string } | { kind: "link"; href: string | null };

/** The pieces of a text, the same as the server's: `ansi.cases.json` holds both to that. */
function* tokens(text: string): Generator<Token> {
  let at = 0;
  while (at < text.length) {
    const found = text.indexOf(ESC, at);
    const start = found < 0 ? text.length : found;
    if (start > at) yield { kind: "text", text: text.slice(at, start) };
    if (start === text.length) return;
    const sequence = sequenceAt(text, start);
    if (sequence.token) yield sequence.token;
    at = sequence.end;
  }
}

interface Sequence {
  end: number;
  token?: Token;
}

/** The sequence that begins at an escape. */
function sequenceAt(text: string, at: number): Sequence {
  const kind = text[at + 1];
  switch (kind) {
    case undefined:
      return { end: at + 1 };
    case "[":
      return control(text, at + 2);
    case "]":
    case "P":
    case "X":
    case "^":
    case "_":
      return string(text, at + 2, kind === "]");
    default:
      return { end: short(text, at + 1) };
  }
}

/** Where what is of these codes ends. */
function run(text: string, from: number, least: number, most: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) >= least && text.charCodeAt(at) <= most) at += 1;
  return at;
}

/** CSI: parameters 0x30–0x3F, intermediates 0x20–0x2F, one final byte. */
function control(text: string, from: number): Sequence {
  const between = run(text, from, 0x30, 0x3f);
  const at = run(text, between, 0x20, 0x2f);
  const final = text.charCodeAt(at);
  if (!(final >= 0x40 && final <= 0x7e)) return { end: at };
  // With `<`, `=`, `>` or `?` in front it is about something else.
  const first = text.charCodeAt(from);
  if (final !== 0x6d || at > between || (first >= 0x3c && first <= 0x3f)) return { end: at + 1 };
  return { end: at + 1, token: { kind: "sgr", codes: text.slice(from, between) } };
}

/**
 * OSC, DCS, APC …: a string up to BEL or `ESC \`. Another escape ends it as well, and then, as where nothing ends it, the
 * string is text: it may be meant to be read.
 */
function string(text: string, from: number, osc: boolean): Sequence {
  let at = from;
  while (at < text.length && text[at] !== BEL && text[at] !== ESC) at += 1;
  const length = text[at] === BEL ? 1 : text.startsWith(ST, at) ? 2 : 0;
  if (length === 0) return { end: from };
  const end = at + length;
  const body = text.slice(from, Math.min(at, from + MAX_LINK + 256));
  const link = osc && body.startsWith("8;") ? linkOf(body) : undefined;
  return link === undefined ? { end } : { end, token: { kind: "link", href: link } };
}

/** `ESC (B` and the like: intermediates, then one byte. */
function short(text: string, from: number): number {
  const at = run(text, from, 0x20, 0x2f);
  const final = text.charCodeAt(at);
  return final >= 0x30 && final <= 0x7e ? at + 1 : at;
}

function linkOf(body: string): string | null {
  const uri = body.slice(body.indexOf(";", 2) + 1);
  return body.indexOf(";", 2) < 0 ? null : safeLink(uri);
}

/** The address, where it is one that may be opened from a log. */
export function safeLink(uri: string): string | null {
  if (uri.length > MAX_LINK || !/^(https?:\/\/|mailto:)[\x21-\x7e]+$/i.test(uri)) return null;
  return URL.canParse(uri) ? uri : null;
}

type Mutable = { -readonly [K in keyof Style]: Style[K] };

const FLAGS: Readonly<Record<number, Partial<Style>>> = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { underline: true },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { fg: null },
  49: { bg: null },
};

/** Select graphic rendition: the codes of one `ESC [ … m` upon a style. */
export function select(style: Style, codes: string): Style {
  const numbers = codes.split(";").map((code) => code.split(":").map(Number));
  const next: Mutable = { ...style };
  for (let at = 0; at < numbers.length; at += 1) at += applied(next, numbers, at);
  return same(next, PLAIN) ? PLAIN : next;
}

/** Applies one code; how many more it took. */
function applied(style: Mutable, numbers: number[][], at: number): number {
  const [code = 0, detail] = numbers[at] ?? [];
  if (code === 38 || code === 48 || code === 58) {
    const { taken, colour } = extendedColour(numbers, at);
    // The colour of underlines is not shown.
    if (colour !== null && code !== 58) style[code === 38 ? "fg" : "bg"] = colour;
    return taken;
  }
  if (code === 0) Object.assign(style, PLAIN);
  else if (code === 4 && detail === 0) style.underline = false;
  else if (FLAGS[code]) Object.assign(style, FLAGS[code]);
  else basic(style, code);
  return 0;
}

function basic(style: Mutable, code: number): void {
  if (code >= 30 && code <= 37) style.fg = code - 30;
  else if (code >= 40 && code <= 47) style.bg = code - 40;
  else if (code >= 90 && code <= 97) style.fg = code - 90 + 8;
  else if (code >= 100 && code <= 107) style.bg = code - 100 + 8;
}

/** `38;5;n`, `38;2;r;g;b`, and both with colons. */
function extendedColour(numbers: number[][], at: number): { taken: number; colour: Colour | null } {
  const own = numbers[at] ?? [];
  if (own.length > 1) {
    const parts = own[1] === 2 && own.length >= 6 ? own.slice(3) : own.slice(2);
    return { taken: 0, colour: own[1] === 5 ? indexed(parts[0]) : own[1] === 2 ? rgb(parts) : null };
  }
  const [kind, ...parts] = numbers.slice(at + 1, at + 5).map((number) => (number.length > 1 ? Number.NaN : number[0]));
  if (kind === 5) return { taken: 2, colour: indexed(parts[0]) };
  if (kind === 2) return { taken: 4, colour: rgb(parts) };
  return { taken: 1, colour: null };
}

function rgb(parts: readonly (number | undefined)[]): Colour | null {
  const [red, green, blue] = parts;
  if (![red, green, blue].every((part) => part !== undefined && part >= 0 && part <= 255)) return null;
  return RGB | ((red ?? 0) << 16) | ((green ?? 0) << 8) | (blue ?? 0);
}

function indexed(index: number | undefined): Colour | null {
  if (index === undefined || !(index >= 0 && index <= 255)) return null;
  if (index < 16) return index;
  if (index >= 232) return rgb(Array(3).fill(8 + 10 * (index - 232)));
  const level = (step: number) => (step === 0 ? 0 : 55 + 40 * step);
  const cube = index - 16;
  return rgb([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
}

/** What xterm shows for 0–15, for where a colour has to be compared with another. */
const TERMINAL = [
  0x000000, 0xcd0000, 0x00a000, 0xb58900, 0x1e5bd6, 0xa626a4, 0x008b8b, 0xd0d0d0, 0x7f7f7f, 0xff5f5f, 0x5fd75f,
  0xffd75f, 0x6f9fff, 0xff87ff, 0x5fd7d7, 0xffffff,
];

/** A colour as `0xrrggbb`. */
export function rgbOf(colour: Colour): number {
  return colour >= RGB ? colour & 0xffffff : (TERMINAL[colour] ?? 0);
}

export function css(value: number): string {
  return `#${value.toString(16).padStart(6, "0")}`;
}

export function same(one: Style, other: Style): boolean {
  return (Object.keys(PLAIN) as (keyof Style)[]).every((key) => one[key] === other[key]);
}

/** The text colour on a background: the wanted one where it can be read there, else black or white. */
export function readable(wanted: number | null, background: number): number {
  if (wanted !== null && contrast(wanted, background) >= 4.5) return wanted;
  return contrast(0, background) >= contrast(0xffffff, background) ? 0 : 0xffffff;
}

/** WCAG's ratio. */
export function contrast(one: number, other: number): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

function luminance(value: number): number {
  const [red, green, blue] = [value >> 16, (value >> 8) & 255, value & 255].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
}
