/** A line's text as nodes: styled spans, links, marks for what cannot be seen. Never as HTML. */

import type { SearchQuery } from "../api";
import { css, PLAIN, paint, readable, rgbOf, type Span, type Style } from "./ansi";
import { Expression } from "./expression";
import { MAX_MARKS, pieces } from "./text";

const PRINTABLE = /^[\t -~]*$/;

/** Whether a text is drawn as it is, in one node. Most lines are. */
export function isPlain(text: string, style: Style, query: SearchQuery | null): boolean {
  return query === null && style === PLAIN && PRINTABLE.test(text);
}

/** Draws a text into an element; what the query finds is marked. */
export function draw(into: Node, text: string, style: Style, query: SearchQuery | null): void {
  if (isPlain(text, style, query)) {
    into.appendChild(document.createTextNode(text));
    return;
  }
  const { spans } = paint(text, style);
  const found = query === null ? [] : places(spans.map((span) => span.text).join(""), query);
  const left = { marks: MAX_MARKS };
  let offset = 0;
  for (const span of spans) {
    const element = elementOf(span);
    for (const part of split(span.text, offset, found)) {
      append(part.found ? element.appendChild(document.createElement("mark")) : element, part.text, left);
    }
    offset += span.text.length;
    into.appendChild(element);
  }
}

function append(into: ParentNode, text: string, left: { marks: number }): void {
  for (const piece of pieces(text, left.marks)) {
    if (piece.control !== null) left.marks -= 1;
    into.append(piece.control === null ? piece.text : control(piece.text, piece.control));
  }
}

function control(text: string, name: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "log-control";
  element.title = name;
  element.textContent = text;
  return element;
}

function elementOf(span: Span): Node & ParentNode {
  if (span.style === PLAIN && span.href === null) return document.createDocumentFragment();
  if (span.href === null) return styled(document.createElement("span"), span.style);
  const link = document.createElement("a");
  link.href = span.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = span.href;
  return styled(link, span.style);
}

function styled(element: HTMLElement, style: Style): HTMLElement {
  const { bold, dim, italic, underline, strike, inverse } = style;
  const classes = Object.entries({ bold, dim, italic, underline, strike }).filter(([, on]) => on);
  for (const [name] of classes) element.classList.add(`log-${name}`);
  const [fg, bg] = inverse ? [style.bg, style.fg] : [style.fg, style.bg];
  if (bg !== null) {
    element.style.setProperty("background-color", css(rgbOf(bg)));
    element.style.setProperty("color", css(readable(fg === null ? null : rgbOf(fg), rgbOf(bg))));
  } else if (inverse) {
    element.classList.add("log-inverse");
  } else if (fg !== null && fg < 16) {
    element.classList.add(`log-fg-${fg}`);
  } else if (fg !== null) {
    element.classList.add("log-fg");
    element.style.setProperty("--log-fg", css(rgbOf(fg)));
  }
  return element;
}

/** Where the query is in the text, as the server looks for it. */
export function places(text: string, query: SearchQuery): [number, number][] {
  if (query.regex) return expressionOf(query)?.places(text, MAX_MARKS) ?? [];
  const [where, what] = query.case ? [text, query.q] : [text.toLowerCase(), query.q.toLowerCase()];
  // Where lower case is longer, places would be wrong: then none is marked.
  if (what === "" || where.length !== text.length) return [];
  const found: [number, number][] = [];
  for (let at = where.indexOf(what); at >= 0 && found.length < MAX_MARKS; at = where.indexOf(what, at + what.length)) {
    found.push([at, at + what.length]);
  }
  return found;
}

const expressions = new WeakMap<SearchQuery, Expression | null>();

function expressionOf(query: SearchQuery): Expression | null {
  let known = expressions.get(query);
  if (known === undefined) {
    known = Expression.of(query.q, query.case ?? false);
    expressions.set(query, known);
  }
  return known;
}

interface Part {
  text: string;
  found: boolean;
}

/** A span's text, cut where what was found begins and ends. */
export function split(text: string, offset: number, found: readonly [number, number][]): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const [first, end] of found) {
    const [from, to] = [Math.max(at, first - offset), Math.min(text.length, end - offset)];
    if (from >= to) continue;
    if (from > at) parts.push({ text: text.slice(at, from), found: false });
    parts.push({ text: text.slice(from, to), found: true });
    at = to;
  }
  if (at < text.length) parts.push({ text: text.slice(at), found: false });
  return parts;
}
