/** Groups of lines: which are folded, what that hides, which one a line is in. */

import type { Group } from "../api";
import { partition, type Range } from "./rows";

export type { Group };

/** Whether the opening line of a group is shown. */
type IsShown = (opening: number) => boolean;

/** The groups of a log, in the order of their first lines, and which of them a person folded or unfolded. */
export class Groups {
  readonly #groups: readonly Group[];
  /** By first line: what a person wants, whatever the log says. */
  readonly #wanted: Map<number, boolean>;
  /** For each group the one around it, −1 for none. */
  readonly #around: Int32Array;

  constructor(groups: readonly Group[] = [], wanted: Map<number, boolean> = new Map()) {
    this.#groups = groups;
    this.#wanted = wanted;
    this.#around = around(groups);
  }

  /** What people folded stays so when more groups are known. One that is as it was is the same object. */
  renewed(groups: readonly Group[]): Groups {
    let at = 0;
    const kept = groups.map((group) => {
      while ((this.#groups[at]?.first ?? Number.POSITIVE_INFINITY) < group.first) at += 1;
      const before = this.#groups[at];
      return before && isSame(before, group) ? before : group;
    });
    return new Groups(kept, this.#wanted);
  }

  get count(): number {
    return this.#groups.length;
  }

  /** The group whose opening line this is. */
  startingAt(sequence: number): Group | undefined {
    const group = this.#groups[this.#before(sequence + 1) - 1];
    return group?.first === sequence ? group : undefined;
  }

  /** The innermost group that a line is in. */
  containing(sequence: number): Group | undefined {
    return this.#groups[this.#containing(sequence)];
  }

  /** How many groups a line is in; a group's opening line counts as outside of it. */
  depthOf(sequence: number): number {
    let depth = 0;
    for (let at = this.#containing(sequence); at >= 0; at = this.#around[at] ?? -1) {
      if (this.#groups[at]?.first !== sequence) depth += 1;
    }
    return depth;
  }

  /** Where nobody said otherwise, what is still written to stays open, whatever the log wants of it later. */
  isFolded(group: Group): boolean {
    return this.#wanted.get(group.first) ?? (group.collapsed && group.last !== null);
  }

  fold(group: Group, folded: boolean): void {
    this.#wanted.set(group.first, folded);
  }

  get anyFolded(): boolean {
    return this.#groups.some((group) => this.isFolded(group));
  }

  foldAll(folded: boolean): void {
    for (const group of this.#groups) this.#wanted.set(group.first, folded);
  }

  /** Unfolds whatever hides a line; whether anything did. As in `hidden`, a group whose opening line is not shown hides none. */
  reveal(sequence: number, isShown: IsShown = () => true): boolean {
    let changed = false;
    for (let at = this.#containing(sequence); at >= 0; at = this.#around[at] ?? -1) {
      const group = this.#groups[at];
      if (!group || group.first === sequence || !this.isFolded(group) || !isShown(group.first)) continue;
      this.#wanted.set(group.first, false);
      changed = true;
    }
    return changed;
  }

  /** The lines that folded groups hide: all of each but its opening line. Where that is not shown, nobody could unfold it. */
  hidden(isShown: IsShown): Range[] {
    return this.#groups
      .filter((group) => this.isFolded(group) && group.last !== group.first && isShown(group.first))
      .map((group) => [group.first + 1, group.last ?? Number.POSITIVE_INFINITY]);
  }

  next(sequence: number): Group | undefined {
    return this.#groups[this.#before(sequence + 1)];
  }

  previous(sequence: number): Group | undefined {
    return this.#groups[this.#before(sequence) - 1];
  }

  /** Groups that begin before a line. */
  #before(sequence: number): number {
    return partition(this.#groups.length, (at) => (this.#groups[at]?.first ?? 0) < sequence);
  }

  #containing(sequence: number): number {
    let at = this.#before(sequence + 1) - 1;
    while (at >= 0 && (this.#groups[at]?.last ?? Number.POSITIVE_INFINITY) < sequence) at = this.#around[at] ?? -1;
    return at;
  }
}

function isSame(one: Group, other: Group): boolean {
  return (Object.keys(other) as (keyof Group)[]).every((key) => one[key] === other[key]);
}

function around(groups: readonly Group[]): Int32Array {
  const result = new Int32Array(groups.length);
  const open: number[] = [];
  groups.forEach((group, at) => {
    while (open.length > 0 && (groups[open[open.length - 1] ?? 0]?.last ?? Number.POSITIVE_INFINITY) < group.first)
      open.pop();
    result[at] = open[open.length - 1] ?? -1;
    open.push(at);
  });
  return result;
}

/** How long a group took; none while it is open, or where its times are not known. */
export function took(group: Group): number | null {
  if (group.ended_at === null) return null;
  const time = Date.parse(group.ended_at) - Date.parse(group.started_at);
  return Number.isNaN(time) ? null : Math.max(0, time);
}
