/**
 * The ends of logs that are seen beside each other, over one connection: a browser has six for a server without TLS,
 * over all its tabs. It is the task's tail, which brings what all its workers write; each log is given what is its own.
 * Where the server has none for so many workers, each log has a connection of its own. Nothing here tries again: each
 * log does, and the first that comes back makes the connection for all.
 */

import * as api from "../api";
import { listen } from "../log/listen";
import type { Events, Heard } from "../log/live";

export class Tails {
  readonly #task: string;
  readonly #tails = new Map<string, Tail>();
  /** What was heard of each worker last, for a log that joins later. */
  readonly #latest = new Map<string, readonly [type: string, heard: Heard]>();
  #asking = new AbortController();
  #events: EventSource | undefined;
  #isOpen = false;
  #isTooMany = false;

  constructor(task: string) {
    this.#task = task;
  }

  /** What a worker writes from a line on. What was written before the connection was there is told by its number. */
  of(worker: string, from: number): Events {
    if (this.#isTooMany) return listen(api.tailUrl(worker, from));
    const tail = new Tail(worker, () => this.#left(tail));
    this.#tails.set(worker, tail);
    if (this.#tails.size === 1) void this.#connect();
    else if (this.#isOpen) queueMicrotask(() => this.#welcome(tail));
    return tail;
  }

  async #connect(): Promise<void> {
    this.#disconnect();
    const { signal } = this.#asking;
    try {
      const { next } = await api.taskLines(this.#task, { direction: "backward", limit: 1 }, { signal });
      if (!signal.aborted) this.#listen(next);
    } catch (error) {
      if (signal.aborted) return;
      this.#isTooMany = error instanceof api.ApiError && error.code === "too_many_workers";
      this.#lost();
    }
  }

  #listen(cursor: string): void {
    const events = listen(api.taskTailUrl(this.#task, cursor));
    this.#events = events;
    events.onopen = () => {
      this.#isOpen = true;
      for (const tail of this.#tails.values()) tail.hears("open", NOTHING);
    };
    events.onmessage = ({ data }) => this.#came(JSON.parse(data));
    events.addEventListener("worker", (event) => {
      const { worker_id, state } = JSON.parse(event.data) as api.WorkerState;
      this.#tell(worker_id, state === "closed" ? "end" : "worker", event);
    });
    events.addEventListener("failed", ({ data }) => {
      this.#isTooMany = (JSON.parse(data) as { code: string }).code === "too_many_workers";
      this.#lost();
    });
    // All have ended: who waits for a worker that comes later asks again.
    events.addEventListener("end", () => this.#lost());
    events.onerror = () => this.#lost();
  }

  /** Lines that come together are of one worker. */
  #came(lines: readonly api.TaskLine[]): void {
    const last = lines.at(-1);
    if (!last) return;
    const lastEventId = String(last.gap?.last_sequence ?? last.sequence);
    this.#latest.set(last.worker_id, ["message", { data: [], lastEventId }]);
    this.#tails.get(last.worker_id)?.hears("message", { data: lines, lastEventId });
  }

  #tell(worker: string, type: string, heard: Heard): void {
    this.#latest.set(worker, [type, heard]);
    this.#tails.get(worker)?.hears(type, heard);
  }

  #welcome(tail: Tail): void {
    tail.hears("open", NOTHING);
    const latest = this.#latest.get(tail.worker);
    if (latest) tail.hears(...latest);
  }

  #left(tail: Tail): void {
    if (this.#tails.get(tail.worker) !== tail) return;
    this.#tails.delete(tail.worker);
    if (this.#tails.size === 0) this.#disconnect();
  }

  #lost(): void {
    const tails = [...this.#tails.values()];
    this.#tails.clear();
    this.#disconnect();
    for (const tail of tails) tail.hears("error", NOTHING);
  }

  #disconnect(): void {
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#events?.close();
    this.#events = undefined;
    this.#isOpen = false;
    this.#latest.clear();
  }
}

const NOTHING: Heard = { data: "", lastEventId: "" };

/** A worker's part of it. */
class Tail implements Events {
  readonly worker: string;
  readonly close: () => void;
  readonly #listeners = new Map<string, (heard: Heard) => void>();

  constructor(worker: string, close: () => void) {
    this.worker = worker;
    this.close = close;
  }

  addEventListener(type: string, listener: (heard: Heard) => void): void {
    this.#listeners.set(type, listener);
  }

  hears(type: string, heard: Heard): void {
    this.#listeners.get(type)?.(heard);
  }
}
