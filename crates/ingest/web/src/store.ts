/**
 * A value that parts of the page share, and which draws them again when it changes.
 */

import { useLayoutEffect, useReducer } from "preact/hooks";

export class Cell<T> {
  #value: T;
  readonly #readers = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const reader of [...this.#readers]) reader();
  }

  /** Calls `reader` after each change, until what is returned is called. */
  subscribe(reader: () => void): () => void {
    this.#readers.add(reader);
    return () => {
      this.#readers.delete(reader);
    };
  }
}

/** Tells of changes as a count of them, once for all within so many milliseconds. */
export class Pulse {
  readonly count = new Cell(0);
  readonly #ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.#ms = ms;
  }

  readonly tell = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.count.set(this.count.value + 1);
    }, this.#ms);
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}

/** The cell's value; the component is drawn again when it changes. */
export function useCell<T>(cell: Cell<T>): T {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const seen = cell.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `seen` is of the first drawing: only a change before this effect counts.
  useLayoutEffect(() => {
    if (!Object.is(seen, cell.value)) redraw(undefined);
    return cell.subscribe(() => redraw(undefined));
  }, [cell]);
  return seen;
}
