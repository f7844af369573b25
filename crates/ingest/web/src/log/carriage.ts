/** Progress: what a command wrote over and over in one line. The last state is shown, the earlier ones are kept. */

import { plain } from "./ansi";

export interface Overwritten {
  /** What a terminal would show in the end. */
  readonly shown: string;
  /** What it showed before, the oldest first; empty for an ordinary line. */
  readonly history: readonly string[];
}

/** More states of one line than anybody looks at; the latest are kept. */
export const MAX_HISTORY = 200;

/** A colour that was chosen before a carriage return goes on after it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const SGR = /\x1b\[[\d;:]*m/g;

/** What GitLab's runner hides in a line where a group begins or ends: no state of anything. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const SECTION = /^(?:\x1b\[\d*K)*section_(?:start|end):\d+:/;

/**
 * Back to the beginning: a carriage return, or the cursor sent to the first column. Or, which begins no state, a short
 * way somewhere and back to where the cursor was saved.
 */
const RETURN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
  /\r|\x1b\[[01]?G|(?<saved>(?:\x1b7|\x1b\[s)(?:(?!\x1b8|\x1b\[u).){0,80}(?:\x1b8|\x1b\[u))/gs;

export function overwritten(text: string): Overwritten {
  const split = divided(text);
  if (split.length === 1) return { shown: backspaced(text), history: [] };
  const all = split.filter((state) => !SECTION.test(state));
  // What colours, erases or moves the cursor shows nothing by itself.
  const states = all.filter((state) => plain(state) !== "");
  const last = states.pop() ?? "";
  const earlier = last === "" ? all : all.slice(0, all.lastIndexOf(last));
  const before = earlier.join("").match(SGR)?.slice(-32).join("") ?? "";
  return { shown: before + backspaced(last), history: states.slice(-MAX_HISTORY).map(backspaced) };
}

/** A line between its returns. */
function divided(text: string): string[] {
  const states: string[] = [];
  let from = 0;
  for (const { index, 0: found, groups } of text.matchAll(RETURN)) {
    if (groups?.["saved"] !== undefined) continue;
    states.push(text.slice(from, index));
    from = index + found.length;
  }
  return [...states, text.slice(from)];
}

/** A backspace takes back the character before it, where another follows; at the end it only moves the cursor. */
export function backspaced(text: string): string {
  const trimmed = text.includes("\b") ? withoutTrailing(text) : text;
  if (!trimmed.includes("\b")) return trimmed;
  const kept: string[] = [];
  for (const character of trimmed) {
    if (character !== "\b") kept.push(character);
    else if (kept.length > 0 && kept[kept.length - 1] !== "m") kept.pop();
    else takeBack(kept);
  }
  return kept.join("");
}

function withoutTrailing(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === "\b") end -= 1;
  return text.slice(0, end);
}

/** Takes back the last character that is not part of a colour sequence; looks a short way only. */
function takeBack(kept: string[]): void {
  const tail = kept.slice(-64).join("");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
  const sequences = /(?:\x1b\[[\d;:]*m)+$/.exec(tail)?.[0].length ?? 0;
  const at = kept.length - 1 - sequences;
  if (at >= 0) kept.splice(at, 1);
}
