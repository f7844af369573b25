/** A colour that a line leaves on goes on in the next line of its worker, whatever others write between them. */

import type { TaskLine } from "../api";
import { advance, PLAIN, type Style, same } from "../log/ansi";

/** How the next line of each worker begins, where that is not plain. */
export type Carried = ReadonlyMap<string, Style>;

export const NOTHING: Carried = new Map();

/** How each of these lines begins, and what they leave. */
export function styled(lines: readonly TaskLine[], before: Carried): { styles: Style[]; after: Carried } {
  let after = before;
  const styles = lines.map((line) => {
    // What the agent says between the command's lines has no part in the command's colours.
    if (line.gap || line.source === "system") return PLAIN;
    const start = after.get(line.worker_id) ?? PLAIN;
    const end = advance(line.message, start);
    if (end !== start && !same(end, start)) after = withEnd(after, line.worker_id, end);
    return start;
  });
  return { styles, after };
}

function withEnd(carried: Carried, worker: string, end: Style): Carried {
  const changed = new Map(carried);
  if (same(end, PLAIN)) changed.delete(worker);
  else changed.set(worker, end);
  return changed;
}

export function isSame(one: Carried, other: Carried): boolean {
  if (one === other) return true;
  return one.size === other.size && [...one].every(([worker, style]) => same(style, other.get(worker) ?? PLAIN));
}
