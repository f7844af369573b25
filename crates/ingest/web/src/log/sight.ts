/** The lines that can be seen, or will be with the next frame: keys may come faster than frames. */

export class Sight {
  #lines: readonly number[] = [];
  #top = 1;
  #ahead: number | null = null;

  /** In their order, as the last frame has drawn them. */
  get lines(): readonly number[] {
    return this.#lines;
  }

  /** While none is drawn, that of before. */
  get top(): number {
    return this.#top;
  }

  /** Nothing where none is drawn. */
  get last(): number {
    return this.#lines[this.#lines.length - 1] ?? 0;
  }

  has(line: number): boolean {
    return line === this.#ahead || this.#lines.includes(line);
  }

  /** The next frame will show a line. */
  ahead(line: number): void {
    this.#ahead = line;
  }

  drawn(lines: readonly number[]): void {
    this.#lines = lines;
    this.#top = lines[0] ?? this.#top;
    this.#ahead = null;
  }
}
