/**
 * Reads the lines of all workers of a task in order of time: the end first, what comes live by server-sent events on
 * one connection, what was before where somebody asks for it. A hidden page lets its connection go, and goes on where
 * it was. Without an answer it tries again, later each time.
 */

import { later, onAnswers } from "../answers";
import * as api from "../api";
import { listen } from "../log/listen";
import { waitAfter } from "../poll";
import {
  appended,
  beginningOf,
  EMPTY,
  FOLLOWED,
  isFull,
  PIECE,
  pieceOf,
  prepended,
  replaced,
  type Timeline,
  withoutEarliest,
} from "./timeline";
import { Waiting } from "./Waiting";

export type Status =
  | "loading"
  /** The end is here; what comes is not heard yet, nor is it while nobody looks. */
  | "connecting"
  | "live"
  | "reconnecting"
  | "ended"
  | "refused";

export interface Held {
  readonly timeline: Timeline;
  readonly status: Status;
  /** Lines that came while nobody looked at the end. */
  readonly unseen: number;
  readonly isLoadingEarlier: boolean;
  readonly error: api.ApiError | undefined;
}

/** From one drawing that leaves lines out to the next: each draws all that is shown anew. */
const REST_MS = 100;

const NOTHING: Held = { timeline: EMPTY, status: "loading", unseen: 0, isLoadingEarlier: false, error: undefined };

export class TaskLog {
  readonly #task: string;
  readonly #told: (held: Held) => void;
  #held = NOTHING;
  #life = new AbortController();
  #events: EventSource | undefined;
  /** Behind the last line that is known. */
  #cursor: string | undefined;
  #failures = 0;
  /** Calls off what is to be tried again. */
  #giveUp: (() => void) | undefined;
  #isLoadingEnd = false;
  #follows = true;
  #frame = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  readonly #waiting = new Waiting();
  readonly #deafen: () => void;

  constructor(task: string, told: (held: Held) => void) {
    this.#task = task;
    this.#told = told;
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#deafen = onAnswers(() => this.#answered());
    this.start();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#deafen();
    this.#stop();
  }

  /** Begins again at the end. */
  start(): void {
    this.#stop();
    this.#life = new AbortController();
    this.#isLoadingEnd = false;
    this.#cursor = undefined;
    this.#follows = true;
    this.#tell(NOTHING);
    void this.#loadEnd(this.#life.signal);
  }

  /** Somebody looks at the end, or does so no more; whether it is followed. The last line before what was let go is no end. */
  follow(follows: boolean): boolean {
    this.#follows = follows && !this.#held.timeline.isCut;
    if (this.#follows && this.#held.unseen > 0) this.#tell({ unseen: 0 });
    return this.#follows;
  }

  /** Follows the end, wherever that is by now. */
  toEnd(): void {
    if (this.#held.timeline.isCut) this.start();
    else this.follow(true);
  }

  /** There is more before what is here. */
  get hasEarlier(): boolean {
    return beginningOf(this.#held.timeline) !== null;
  }

  async loadEarlier(): Promise<void> {
    const cursor = beginningOf(this.#held.timeline);
    if (cursor === null || this.#held.isLoadingEarlier) return;
    const { signal } = this.#life;
    this.#tell({ isLoadingEarlier: true });
    try {
      const query = { direction: "backward", cursor, limit: PIECE } as const;
      const { lines, previous } = await api.taskLines(this.#task, query, { signal });
      if (signal.aborted) return;
      if (beginningOf(this.#held.timeline) !== cursor) {
        // What was the first is gone, as later lines came: these would stand before a hole.
        this.#tell({ isLoadingEarlier: false });
        return this.loadEarlier();
      }
      const timeline = prepended(this.#held.timeline, lines, previous);
      // What comes now would leave a hole behind what was let go.
      if (timeline.isCut) this.#disconnect();
      this.#tell({ timeline, isLoadingEarlier: false, error: undefined });
    } catch (error) {
      if (!signal.aborted) this.#tell({ isLoadingEarlier: false, error: api.asApiError(error) });
    }
  }

  #stop(): void {
    this.#life.abort();
    this.#disconnect();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#waiting.clear();
  }

  #disconnect(): void {
    this.#events?.close();
    this.#events = undefined;
    this.#giveUp?.();
  }

  #tell(change: Partial<Held>): void {
    this.#held = { ...this.#held, ...change };
    this.#told(this.#held);
  }

  async #loadEnd(signal: AbortSignal): Promise<void> {
    if (this.#isLoadingEnd) return;
    this.#isLoadingEnd = true;
    try {
      const query = { direction: "backward", limit: PIECE } as const;
      const { lines, previous, next } = await api.taskLines(this.#task, query, { signal });
      if (signal.aborted) return;
      this.#isLoadingEnd = false;
      this.#failures = 0;
      this.#cursor = next;
      const piece = pieceOf(0, lines, previous);
      this.#tell({ timeline: { pieces: [piece], isCut: false }, status: "connecting", error: undefined });
      this.#connect();
    } catch (error) {
      if (signal.aborted) return;
      this.#isLoadingEnd = false;
      this.#failed(api.asApiError(error), () => void this.#loadEnd(signal));
    }
  }

  #failed(error: api.ApiError, again: () => void): void {
    this.#disconnect();
    if (!error.isTransient) {
      this.#tell({ status: "refused", error });
      return;
    }
    this.#failures += 1;
    this.#tell({ status: "reconnecting", error });
    const wait = waitAfter(this.#failures, error.retryAfterMs, Math.random());
    this.#giveUp = later(wait, again, error.isOutOfReach ? again : null);
  }

  /** The server has answered another, maybe while this waits for an answer yet: it is there. */
  #answered(): void {
    if (this.#held.error?.isOutOfReach) this.#tell({ error: undefined });
  }

  #connect(): void {
    this.#disconnect();
    if (document.hidden || this.#cursor === undefined || this.#held.timeline.isCut) return;
    const events = listen(api.taskTailUrl(this.#task, this.#cursor));
    this.#events = events;
    events.onopen = () => {
      this.#failures = 0;
      this.#tell({ status: "live", error: undefined });
    };
    events.onmessage = ({ data, lastEventId }) => this.#came(data, lastEventId);
    events.addEventListener("end", () => {
      this.#disconnect();
      this.#tell({ status: "ended" });
    });
    events.addEventListener("failed", ({ data }) => {
      const { code, message } = JSON.parse(data);
      // The store may do better next time; a task of too many workers has them still.
      const status = code === "store_failed" ? 500 : 422;
      this.#failed(new api.ApiError(status, code, message), () => this.#connect());
    });
    // A browser that tries again by itself would do so at once, and from where this connection began.
    events.onerror = () => this.#failed(api.unreachable(""), () => this.#connect());
  }

  #came(lines: string, cursor: string): void {
    this.#waiting.push(lines, this.#cursor ?? null);
    this.#cursor = cursor;
    this.#plan();
  }

  #plan(): void {
    if (this.#rest === undefined) this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Leaves time for the person where more comes than can be seen. */
  #restAWhile(): void {
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      if (!this.#waiting.isEmpty) this.#plan();
    }, REST_MS);
  }

  /** Puts what came between two frames into the document at once: as much of it as a frame has time for. */
  #draw(): void {
    this.#frame = 0;
    // Behind what was let go nothing is put.
    if (this.#held.timeline.isCut) this.#waiting.clear();
    else if (this.#follows) this.#drawEnd();
    else this.#drawNext();
    if (!this.#waiting.isEmpty) this.#plan();
  }

  /** Where more came than can be seen, what was seen before goes: what is between can be loaded again. */
  #drawEnd(): void {
    let { timeline } = this.#held;
    const { batches, isWhole } = this.#waiting.latest();
    batches.forEach(({ lines, before }, at) => {
      const put = at === 0 && !isWhole ? replaced : appended;
      timeline = put(timeline, lines, before);
    });
    if (!isWhole) this.#restAWhile();
    this.#tell({ timeline: withoutEarliest(timeline, FOLLOWED) });
  }

  #drawNext(): void {
    let { timeline, unseen } = this.#held;
    const { batches, isWhole } = this.#waiting.next();
    for (const { lines, before } of isWhole ? batches : []) {
      timeline = appended(timeline, lines, before);
      unseen += lines.length;
    }
    // Nobody looks at the end, and what is looked at must stay: no more is taken.
    if (!isWhole || isFull(timeline)) {
      timeline = { ...timeline, isCut: true };
      this.#disconnect();
      this.#waiting.clear();
    }
    this.#tell({ timeline, unseen });
  }

  readonly #onVisibility = () => {
    const { status } = this.#held;
    if (document.hidden) this.#disconnect();
    else if (status === "ended" || status === "refused") return;
    else if (this.#cursor === undefined) void this.#loadEnd(this.#life.signal);
    else this.#connect();
  };
}
