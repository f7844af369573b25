/**
 * The browser's entry for what is shown: its address, and what is kept with it. Browsers take about 100 changes of it in
 * 30 s (WebKit) and throw at more, so changes that follow upon each other are written as one, when they rest.
 */

/** From one change that is written to the next: 86 in 30 s. */
const REST_MS = 350;

type Browser = Pick<History, "state" | "pushState" | "replaceState">;

export class Entry {
  readonly #browser: Browser;
  /** What is still to be written; the address only where that has changed. */
  #pending: { readonly address: string | null; readonly state: unknown } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** What is kept with it. */
  get state(): unknown {
    return this.#pending ? this.#pending.state : this.#browser.state;
  }

  /** The address that it will have, if that is not written yet. */
  get address(): string | null {
    return this.#pending?.address ?? null;
  }

  /** Keeps this with it, once that has not changed for a moment. */
  keep(state: unknown): void {
    this.#pending = { address: this.address, state };
    this.#later(REST_MS);
  }

  /** Gives it another address, at once unless it had another a moment ago. */
  readdress(address: string): void {
    this.#pending = { address, state: this.state };
    const wait = this.#writtenAt + REST_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#later(wait);
  }

  /** Begins another one. Where the browser takes none for now, this one has its address in the end. */
  push(address: string): void {
    this.flush();
    this.left();
    try {
      this.#browser.pushState(null, "", address);
    } catch {
      this.#pending = { address, state: null };
      this.#later(REST_MS);
    }
  }

  /** The person has gone to another one, and what is pending was the one before's. */
  left(): void {
    clearTimeout(this.#timer);
    this.#pending = null;
  }

  /** Writes what is pending. What the browser does not take for now is tried again. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.#pending) return;
    const { address, state } = this.#pending;
    try {
      this.#browser.replaceState(state, "", address ?? undefined);
    } catch {
      this.#later(REST_MS);
      return;
    }
    this.#pending = null;
    this.#writtenAt = performance.now();
  }

  #later(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), wait);
  }
}
