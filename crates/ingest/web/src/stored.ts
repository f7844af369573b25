/**
 * What a person has chosen, kept by the browser. Where it keeps nothing, the choice lasts as long as the page.
 */

import { Cell } from "./store";

/** A cell of one of `values`, the first of which is the default. */
export function stored<T extends string>(key: string, values: readonly [T, ...T[]]): Cell<T> {
  const before = read(`otto.${key}`);
  const cell = new Cell<T>(values.find((value) => value === before) ?? values[0]);
  cell.subscribe(() => write(`otto.${key}`, cell.value));
  return cell;
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Forbidden or full: the choice is still in the cell.
  }
}
