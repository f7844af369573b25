/** That the server answers, told by the part of the page that hears it first: others need not wait to ask again. */

const waiting = new Set<() => void>();

/** Has it called when the server answers again, until what is given back is called. */
export function onAnswers(wake: () => void): () => void {
  waiting.add(wake);
  return () => waiting.delete(wake);
}

export function answers(): void {
  for (const wake of waiting) wake();
}

/**
 * Calls `late` after so long, or `woken` as soon as the server answers another, where there is one; neither of them once
 * what is given back was called.
 */
export function later(milliseconds: number, late: () => void, woken: (() => void) | null): () => void {
  const once = (then: () => void) => () => {
    leave();
    then();
  };
  const timer = setTimeout(once(late), milliseconds);
  const deafen = woken && onAnswers(once(woken));
  const leave = () => {
    clearTimeout(timer);
    deafen?.();
  };
  return leave;
}
