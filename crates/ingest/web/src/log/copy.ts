/** What is linked and what is copied: `L120-L140`, and the text of these lines without their numbers. */

import { plain } from "./ansi";
import { overwritten } from "./carriage";
import type { Entry } from "./line";
import type { Range } from "./rows";

/** `L120`, `L120-L140`, either with or without `#`; anything else is no range. */
export function parseRange(fragment: string): Range | null {
  const match = /^#?L([1-9]\d{0,15})(?:-L?([1-9]\d{0,15}))?$/.exec(fragment);
  if (!match) return null;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last ? [first, last] : [last, first];
}

export function formatRange([first, last]: Range): string {
  return first === last ? `L${first}` : `L${first}-L${last}`;
}

/** From the line that was chosen first to this one, in whatever order. */
export function extended(from: number, to: number): Range {
  return from <= to ? [from, to] : [to, from];
}

/** Lines as people see them, without numbers, times and colours. A line that goes on in the next is one with it. */
export function textOf(entries: readonly Entry[]): string {
  let text = "";
  for (const entry of entries) {
    if (entry.kind === "gap") {
      if (text !== "" && !text.endsWith("\n")) text += "\n";
      text += `[otto: lines ${entry.sequence}-${entry.last} are missing: ${entry.reason}]\n`;
    } else {
      text += plain(overwritten(entry.message).shown) + (entry.continues ? "" : "\n");
    }
  }
  return text;
}
