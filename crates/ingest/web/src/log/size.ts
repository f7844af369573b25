/** Sizes as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** In the unit that leaves one to four digits. */
export function bytes(value: number): string {
  const at = value < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const left = value / 1024 ** at;
  return `${at === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${UNITS[at]}`;
}
