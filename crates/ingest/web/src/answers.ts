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
