/** Short words to the person that go by themselves. */

import { Cell } from "./store";

/** How long a notice stays. */
const STAYS_MS = 4_000;

export interface Notice {
  readonly text: string;
  /** The same text twice is two notices. */
  readonly id: number;
}

export const shownNotice = new Cell<Notice | null>(null);

let last = 0;

/** Shows `text` for a while, and has it read out. A later notice takes the place of an earlier one. */
export function notice(text: string): void {
  last += 1;
  const id = last;
  shownNotice.set({ text, id });
  setTimeout(() => {
    if (shownNotice.value?.id === id) shownNotice.set(null);
  }, STAYS_MS);
}
