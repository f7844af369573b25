/** How long to leave a server alone that does not answer. */

const LEAST_MS = 500;
const MOST_MS = 15_000;

/** How long to wait after so many failures in a row; `share`, 0 to 1, spreads those who failed together. */
export function waitAfter(failures: number, share: number): number {
  return Math.min(MOST_MS, LEAST_MS * 2 ** Math.max(0, failures - 1)) * (0.75 + 0.5 * share);
}
