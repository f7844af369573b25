/** Which lines are asked for: what is seen, and with it what will be seen next. */

import { chunkOf } from "./cache";
import type { Log } from "./model";

/** From one place to the next that lines are asked for while a bar is dragged. */
const ASK_MS = 60;
/** Lines around a place that is not drawn yet. */
const AROUND = 20;

export class Asker {
  readonly #log: Log;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = { chunk: -1, at: 0 };
  #latest: { visible: readonly number[]; page: number } = { visible: [], page: 0 };

  constructor(log: Log) {
    this.#log = log;
  }

  /** These lines are seen. While a bar is dragged they are not asked for at each place that it passes. */
  seen(visible: readonly number[], page: number): void {
    this.#latest = { visible, page };
    const chunk = chunkOf(visible[0] ?? 1);
    const wait = Math.abs(chunk - this.#asked.chunk) > 1 ? this.#asked.at + ASK_MS - performance.now() : 0;
    if (wait <= 0) this.#ask(chunk);
    else
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#ask(chunkOf(this.#latest.visible[0] ?? 1));
      }, wait);
  }

  /** Lines around one are asked for before it is known which of them can be seen: that is a frame earlier. */
  around(line: number): void {
    const { rows, cache, end } = this.#log;
    const row = rows.rowOf(line);
    if (rows.count > 0) cache.want([rows.sequenceOf(row - AROUND), rows.sequenceOf(row + AROUND)], end);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #ask(chunk: number): void {
    this.#asked = { chunk, at: performance.now() };
    const { rows, cache, end } = this.#log;
    const { visible, page } = this.#latest;
    const first = rows.rowOf(visible[0] ?? 1);
    const ahead = [first - page, first + 2 * page].map((row) => rows.sequenceOf(row));
    cache.touch(Math.min(...ahead), Math.max(...ahead));
    cache.want([...visible, ...ahead], end);
  }
}
