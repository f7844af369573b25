/**
 * The end of a log that is still written: one connection of server-sent events, made again when it breaks.
 *
 * Each connection begins with a look at the worker, so lines that came while there was none are known by their number
 * alone and read when they are to be seen: none is missing, and none comes twice. A page that nobody looks at has no
 * connection: browsers allow six to a server without TLS, over all their tabs.
 */

import { later } from "../answers";
import { ApiError, type WorkerState } from "../api";
import { waitAfter } from "./backoff";

export type Connection =
  /** Nothing is known yet. */
  | "connecting"
  | "live"
  /** It broke; another one is on its way. */
  | "reconnecting"
  /** The server does not answer. */
  | "unreachable"
  /** The page is hidden and listens no more. */
  | "paused"
  /** The log is closed: nothing more comes. */
  | "ended"
  /** The server will not give this log. */
  | "refused";

/** How long a hidden page goes on listening: it loses nothing by an end, and may be shown again at once. */
export const HIDDEN_MS = 5_000;
/** From here on the server counts as gone, not as away for a moment. */
const UNREACHABLE_AFTER = 3;
/** A connection that was there for so long was a good one, though no line came: proxies end those that are quiet. */
const STEADY_MS = 5_000;

/** As much of an event as is needed. `data` is JSON, or what it says. */
export interface Heard {
  readonly data: string | readonly unknown[];
  readonly lastEventId: string;
}

/** As much of `EventSource` as is needed. */
export interface Events {
  addEventListener(type: string, listener: (event: Heard) => void): void;
  close(): void;
}

export interface Server {
  worker(signal: AbortSignal): Promise<WorkerState>;
  tail(from: number): Events;
}

export interface Told {
  /** With what went wrong, where that is known. */
  connection(connection: Connection, error: Error | null): void;
  worker(state: WorkerState): void;
  /** Lines up to `last` are there: an array of lines or one, maybe as JSON yet. */
  lines(last: number, lines: Heard["data"]): void;
}

export class Live {
  readonly #server: Server;
  readonly #told: Told;
  #last = 0;
  #failures = 0;
  /** Since when there is a connection. */
  #since: number | null = null;
  /** Calls off the next attempt. */
  #giveUp: (() => void) | undefined;
  #hiding: ReturnType<typeof setTimeout> | undefined;
  /** Aborted when another connection takes its place. */
  #attempt = new AbortController();
  #events: Events | null = null;
  #connection: Connection = "connecting";
  #isShown: boolean;

  constructor(server: Server, told: Told, isShown: boolean) {
    this.#server = server;
    this.#told = told;
    this.#isShown = isShown;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** Begins, or begins again at once where it waits to; once somebody sees the page. */
  connect(): void {
    if (this.#connection === "ended") return;
    this.#disconnect();
    if (!this.#isShown) {
      this.#say("paused", null);
      return;
    }
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#look(attempt).catch((error: unknown) => {
      if (!attempt.signal.aborted) this.#failed(error);
    });
  }

  close(): void {
    this.#disconnect();
    clearTimeout(this.#hiding);
  }

  /** Whether anybody can see the page. */
  shown(shown: boolean): void {
    this.#isShown = shown;
    clearTimeout(this.#hiding);
    if (!shown) {
      this.#hiding = setTimeout(() => this.#pause(), HIDDEN_MS);
      return;
    }
    if (this.#connection === "live" || this.#connection === "connecting") return;
    // That it was paused is nothing to show to somebody who has just come.
    if (this.#connection === "paused") this.#say("connecting", null);
    this.connect();
  }

  #pause(): void {
    if (this.#connection === "ended" || this.#connection === "refused") return;
    this.#disconnect();
    this.#say("paused", null);
  }

  async #look(attempt: AbortController): Promise<void> {
    const state = await this.#server.worker(attempt.signal);
    if (attempt.signal.aborted) return;
    this.#last = Math.max(this.#last, state.last_sequence);
    this.#told.worker(state);
    if (state.state === "closed") this.#say("ended", null);
    else this.#listen(attempt);
  }

  #listen(attempt: AbortController): void {
    const events = this.#server.tail(this.#last + 1);
    this.#events = events;
    const on = (type: string, then: (event: Heard) => void) =>
      events.addEventListener(type, (event) => {
        if (!attempt.signal.aborted) then(event);
      });
    on("open", () => {
      this.#since = performance.now();
      this.#say("live", null);
    });
    on("message", (event) => this.#lines(event));
    on("worker", (event) => this.#told.worker(said<WorkerState>(event)));
    on("end", (event) => {
      this.#disconnect();
      this.#told.worker(said<WorkerState>(event));
      this.#say("ended", null);
    });
    on("failed", (event) => {
      const { code, message } = said<{ code: string; message: string }>(event);
      this.#failed(new ApiError(0, code, message));
    });
    on("error", () => this.#failed(null));
  }

  #lines(event: Heard): void {
    const last = Number(event.lastEventId);
    if (!(last > this.#last)) return;
    this.#failures = 0;
    this.#last = last;
    this.#told.lines(last, event.data);
  }

  #failed(error: unknown): void {
    const lasted = this.#since === null ? null : performance.now() - this.#since;
    if (lasted !== null && lasted >= STEADY_MS) this.#failures = 0;
    this.#disconnect();
    if (error instanceof ApiError && !error.isTransient) {
      this.#say("refused", error);
      return;
    }
    this.#failures += 1;
    const away = this.#failures >= UNREACHABLE_AFTER;
    this.#say(away ? "unreachable" : "reconnecting", error instanceof Error ? error : null);
    const asked = error instanceof ApiError ? error.retryAfterMs : null;
    const again = () => this.connect();
    // Logs whose connections are ended as soon as they are made would wake each other without end.
    const isWoken = asked === null && (lasted === null || lasted >= STEADY_MS);
    this.#giveUp = later(Math.max(asked ?? 0, waitAfter(this.#failures, Math.random())), again, isWoken ? again : null);
  }

  #disconnect(): void {
    this.#giveUp?.();
    this.#attempt.abort();
    this.#events?.close();
    this.#events = null;
    this.#since = null;
  }

  #say(connection: Connection, error: Error | null): void {
    if (connection === this.#connection && error === null) return;
    this.#connection = connection;
    this.#told.connection(connection, error);
  }
}

function said<T>({ data }: Heard): T {
  return JSON.parse(String(data)) as T;
}
