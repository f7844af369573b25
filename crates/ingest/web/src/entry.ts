/**
 * The browser's entry for what is shown: its address, and what is kept with it. Browsers take about 100 changes of it in
 * 30 s (WebKit) and throw at more, so where very many follow upon each other, as with a key that is held, not each is written.
 */

/** So many changes are written at once, and another after each pause: at most 93 in 30 s. */
const BURST = 50;
const PAUSE_MS = 700;
/** How long what is kept does not change until it is written. */
const REST_MS = 350;

type Browser = Pick<History, "state" | "pushState" | "replaceState">;

export class Entry {
  readonly #browser: Browser;
  /** What is still to be written; the address only where that has changed. */
  #pending: { readonly address: string | null; readonly state: unknown } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How many changes may be written, as of a moment. */
  #allowed = BURST;
  #asOf = performance.now();

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

  /** Gives it another address, at once unless it had very many of late. */
  readdress(address: string): void {
    this.#pending = { address, state: this.state };
    this.#write();
  }

  /** Begins another one, with what is kept with it. Where the browser takes none for now, this one has its address in the end. */
  push(address: string, state: unknown = null): void {
    this.flush();
    this.left();
    try {
      this.#browser.pushState(state, "", address);
      // It counts as well.
      this.#allowed = Math.max(0, this.#allowed - 1);
    } catch {
      this.#pending = { address, state };
      this.#allowed = 0;
      this.#later(PAUSE_MS);
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
      this.#allowed = 0;
      this.#later(PAUSE_MS);
      return;
    }
    this.#pending = null;
    this.#allowed = Math.max(0, this.#allowed - 1);
  }

  /** Writes what is pending if it may, or else as soon as it may. */
  #write(): void {
    const now = performance.now();
    this.#allowed = Math.min(BURST, this.#allowed + (now - this.#asOf) / PAUSE_MS);
    this.#asOf = now;
    if (this.#allowed >= 1) this.flush();
    else this.#later((1 - this.#allowed) * PAUSE_MS);
  }

  #later(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(), wait);
  }
}
