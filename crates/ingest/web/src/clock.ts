/** The time, for what tells how long ago something was. Stands still while nobody looks. */

import { Cell, useCell } from "./store";

const now = new Cell(Date.now());

setInterval(() => {
  if (!document.hidden) now.set(Date.now());
}, 1000);

/** The time in milliseconds, new each second. */
export function useNow(): number {
  return useCell(now);
}
