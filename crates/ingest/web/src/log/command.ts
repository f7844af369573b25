/** What a line says to a CI system before its own words: `::error file=a.rs,line=3::`, `##[warning]`. */

const COMMAND = /^(?:::(?:error|warning|notice|debug)(?: [^:]*)?::|##\[(?:error|warning|notice|debug|command)\])/;

/** Characters of it; it is shown all the same, and stands back. */
export function commandLength(text: string): number {
  return COMMAND.exec(text)?.[0].length ?? 0;
}
