/**
 * Keys of the page: one listener, and a list of what is there for the help sheet. A key is what it types (`G` is
 * Shift and g). The latest part that was drawn comes first. Nothing is taken from a field, a dialog, or a key that is
 * pressed with Ctrl, Alt or Meta: these are the browser's.
 */

import { useLayoutEffect, useRef } from "preact/hooks";
import { letterKeys } from "./settings";
import { Cell } from "./store";

export interface Binding {
  /** As in `KeyboardEvent.key`. */
  readonly keys: readonly string[];
  readonly label: string;
  readonly run: (event: KeyboardEvent) => void;
}

/** The keys of a part of the page. */
export interface KeyGroup {
  readonly title: string;
  readonly bindings: readonly Binding[];
  readonly of: Rank;
}

/** Who comes first where two want the same key: the innermost. */
export type Rank = "page" | "view" | "part";

const RANKS: readonly Rank[] = ["page", "view", "part"];

/** What is there now, the first to be asked last. */
export const keyGroups = new Cell<readonly KeyGroup[]>([]);

/** With one group more, behind those that come after it. */
export function withGroup(groups: readonly KeyGroup[], group: KeyGroup): KeyGroup[] {
  return [...groups, group].sort((a, b) => RANKS.indexOf(a.of) - RANKS.indexOf(b.of));
}

/** The binding for a key among groups, the last group first. */
export function bindingOf(groups: readonly KeyGroup[], key: string): Binding | undefined {
  for (const group of [...groups].reverse()) {
    const binding = group.bindings.find(({ keys }) => keys.includes(key));
    if (binding) return binding;
  }
  return undefined;
}

/** Whether a key writes something, as letters, digits and signs do. Space does not count: it works buttons as well. */
function isLetter(key: string): boolean {
  return key.length === 1 && key !== " ";
}

/** What is left of groups where letters do nothing. */
export function withoutLetters(groups: readonly KeyGroup[]): KeyGroup[] {
  const rest = (binding: Binding) => ({ ...binding, keys: binding.keys.filter((key) => !isLetter(key)) });
  return groups.map((group) => ({
    ...group,
    bindings: group.bindings.map(rest).filter(({ keys }) => keys.length > 0),
  }));
}

/** What a help sheet shows: groups of the same title as one, the innermost first. */
export function sheetOf(groups: readonly KeyGroup[]): { title: string; bindings: Binding[] }[] {
  const byTitle = new Map<string, Binding[]>();
  for (const { title, bindings } of [...groups].reverse()) {
    byTitle.set(title, [...(byTitle.get(title) ?? []), ...bindings]);
  }
  return [...byTitle].map(([title, bindings]) => ({ title, bindings }));
}

/** Has keys do something while the component is there and `active`. */
export function useKeys(title: string, bindings: readonly Binding[], active = true, of: Rank = "part"): void {
  const now = useRef(bindings);
  now.current = bindings;
  // The words and the keys; what they do may change with each drawing, and is looked up when a key comes.
  const shape = JSON.stringify([title, bindings.map(({ keys, label }) => [keys, label])]);
  // With what is drawn, and not a frame later: who sees it may press a key.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for title and bindings.
  useLayoutEffect(() => {
    if (!active) return;
    const group: KeyGroup = {
      title,
      of,
      bindings: bindings.map(({ keys, label }, at) => ({ keys, label, run: (event) => now.current[at]?.run(event) })),
    };
    keyGroups.set(withGroup(keyGroups.value, group));
    return () => keyGroups.set(keyGroups.value.filter((other) => other !== group));
  }, [shape, active, of]);
}

/** Fields in which keys are text. */
const TEXT = "textarea, select, input:not([type=checkbox], [type=radio], [type=button])";
/** What Enter and Space work by themselves. */
const CONTROLS = "a, button, input, summary, [role=tab], [role=option]";

/** Whether a key that comes from there belongs to what it comes from. */
function isTaken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  // A dialog that was just closed may have the focus for a moment yet, where nothing is left to give it back to.
  if (target.isContentEditable || target.closest(`dialog[open], [popover], ${TEXT}`)) return true;
  return (key === "Enter" || key === " ") && target.closest(CONTROLS) !== null;
}

/** What the key types on a Latin layout: with Hangul on, the key of `j` types `ㅓ`. */
export function latin(event: Pick<KeyboardEvent, "key" | "code" | "shiftKey">): string {
  const other = event.key === "Process" || (event.key.length === 1 && event.key > "\u007f");
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  if (!other || !letter) return event.key;
  return event.shiftKey ? letter : letter.toLowerCase();
}

export function listenForKeys(root: Document): void {
  root.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const key = latin(event);
    if (isTaken(event.target, key) || (letterKeys.value === "off" && isLetter(key))) return;
    const binding = bindingOf(keyGroups.value, key);
    if (!binding) return;
    event.preventDefault();
    binding.run(event);
  });
}
