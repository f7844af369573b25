/** What a screen reader hears of the line that a key went to: nobody can see there which one is marked. */

import { plain } from "./ansi";
import { overwritten } from "./carriage";
import type { Group } from "./groups";
import type { Entry } from "./line";
import type { Texts } from "./messages";
import type { Range } from "./rows";
import { beginning } from "./text";

/** Characters of a line that are read out: a log is listened to by the ear's pace. */
const SPOKEN_CHARACTERS = 200;

export interface Gone {
  readonly entry: Entry | undefined;
  /** What the server says of the line. */
  readonly mark: string | null;
  /** The group that begins there. */
  readonly group: Group | undefined;
  readonly folded: boolean;
  readonly chosen: Range | null;
}

/** `Lines 118 to 120. Line 120, stderr, error: it broke`; nothing until the line is here. */
export function spoken({ entry, mark, group, folded, chosen }: Gone, words: Texts, reason: (code: string) => string) {
  if (!entry) return "";
  const range = chosen && chosen[0] < chosen[1] ? `${words.selection(...chosen)}. ` : "";
  if (entry.kind === "gap") return range + words.gap(entry.sequence, entry.last, reason(entry.reason));
  const what = [words.line(entry.sequence)];
  if (entry.source !== "stdout") what.push(entry.source);
  if (mark !== null) what.push(words.markNames[mark] ?? mark);
  if (group) what.push(folded ? words.groupFolded : words.groupOpen);
  const text = group ? plain(group.title) : plain(overwritten(entry.message).shown);
  return `${range}${what.join(", ")}: ${beginning(text, SPOKEN_CHARACTERS)}`;
}
