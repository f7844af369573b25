/** A worker's log on the page, as a person sees and uses it. */

import type { Locator, Page } from "playwright-core";
import { until } from "./wait.js";

/** Where a log-ingest is, for a browser. */
export interface Served {
  url(path: string): string;
}

/** A row that can be seen. */
export interface Row {
  sequence: number;
  text: string;
  time: string;
  stream: string;
  classes: string;
}

export class LogPage {
  readonly page: Page;
  readonly root: Locator;

  constructor(page: Page, worker?: string) {
    this.page = page;
    this.root = page.locator(worker === undefined ? ".log" : `.log[data-worker="${worker}"]`);
  }

  /** Opens a worker's log at an address, and waits for its first rows. */
  static async open(page: Page, server: Served, worker: string, rest = ""): Promise<LogPage> {
    await page.goto(server.url(`/#/workers/${encodeURIComponent(worker)}${rest}`));
    const log = new LogPage(page);
    await log.shows("rows", (rows) => rows.length > 0);
    return log;
  }

  /** A button or field by what it is for. */
  part(name: string): Locator {
    return this.root.locator(`[data-log="${name}"]`);
  }

  /** Waits until a button is pressed, or is not. */
  async isPressed(name: string, pressed = true): Promise<void> {
    const state = () => this.part(name).getAttribute("aria-pressed");
    await until(`${name} is ${pressed ? "" : "not "}pressed`, state, (seen) => seen === String(pressed));
  }

  row(sequence: number): Locator {
    return this.root.locator(`.log-row[data-sequence="${sequence}"]`);
  }

  /** The text of a row without the buttons in it. */
  text(sequence: number): Locator {
    return this.row(sequence).locator(".log-text");
  }

  get scroller(): Locator {
    return this.root.locator(".log-scroller");
  }

  /** The rows that can be seen, in order. */
  async rows(): Promise<Row[]> {
    return this.scroller.evaluate((scroller) => {
      const frame = scroller.getBoundingClientRect();
      const shown = [...scroller.querySelectorAll<HTMLElement>(".log-row")].filter((row) => {
        const box = row.getBoundingClientRect();
        return box.height > 0 && box.bottom > frame.top + 1 && box.top < frame.bottom - 1;
      });
      const textOf = (row: HTMLElement, name: string) => row.querySelector(name)?.textContent ?? "";
      return shown.map((row) => ({
        sequence: Number(row.dataset["sequence"]),
        text: textOf(row, ".log-text"),
        time: textOf(row, ".log-time"),
        stream: textOf(row, ".log-stream"),
        classes: row.className,
      }));
    });
  }

  async sequences(): Promise<number[]> {
    return (await this.rows()).map(({ sequence }) => sequence);
  }

  /** Waits until the rows are as they should be. */
  async shows(what: string, holds: (rows: Row[]) => boolean, limit?: number): Promise<Row[]> {
    return until(`the log shows ${what}`, () => this.rows(), holds, limit);
  }

  /** Waits until a line can be seen, with its text. */
  async showsLine(sequence: number, text?: string, limit?: number): Promise<void> {
    const is = (row: Row) => row.sequence === sequence && (text === undefined ? row.text !== "…" : row.text === text);
    await this.shows(`line ${sequence}`, (rows) => rows.some(is), limit);
  }

  /** The rows, once turns of the wheel move them no more. */
  async atRest(): Promise<Row[]> {
    await this.scroller.evaluate(async (scroller) => {
      const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
      let seen = -1;
      for (let still = 0; still < 10; still += 1) {
        if (scroller.scrollTop !== seen) still = 0;
        seen = scroller.scrollTop;
        await frame();
      }
    });
    return this.rows();
  }

  /** The line at the top, once nothing moves it any more. */
  async first(): Promise<number> {
    return (await this.atRest())[0]?.sequence ?? 0;
  }

  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Presses keys in one task, so that no frame comes between them. */
  async pressAtOnce(...keys: string[]): Promise<void> {
    await this.page.evaluate((keys) => {
      const press = (key: string) => new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
      for (const key of keys) document.activeElement?.dispatchEvent(press(key));
    }, keys);
  }

  /** Presses a key when the log gets another size: before the frame that it asks for then. */
  async pressWhenResized(key: string): Promise<void> {
    await this.scroller.evaluate((scroller, key) => {
      const { clientHeight, clientWidth } = scroller;
      // Behind the log's own observer, as it is made later.
      const observer = new ResizeObserver(() => {
        if (scroller.clientHeight === clientHeight && scroller.clientWidth === clientWidth) return;
        observer.disconnect();
        document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
      observer.observe(scroller);
    }, key);
  }

  /** Waits until a line is the one that keys start from. */
  async isCurrent(sequence: number): Promise<void> {
    const is = (row: Row) => row.sequence === sequence && row.classes.includes("log-current");
    await this.shows(`line ${sequence} gone to`, (rows) => rows.some(is));
  }

  /** Turns the wheel over the log. */
  async wheel(pixels: number): Promise<void> {
    await this.scroller.hover();
    await this.page.mouse.wheel(0, pixels);
  }
}
