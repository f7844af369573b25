/** How a worker stands, told from its state: what it came to, or what it waits for. */

import type { TaskSummary, WorkerState } from "../api";

export type Standing =
  | { readonly kind: "waiting" | "running" }
  /** The command ended by itself. */
  | { readonly kind: "passed" | "failed"; readonly code: number }
  /** Somebody else closed the log, and nobody knows how the command ended. */
  | { readonly kind: "failed"; readonly code: null }
  /** A signal ended the command. */
  | { readonly kind: "signalled"; readonly signal: number };

export function standingOf(worker: WorkerState): Standing {
  if (worker.state === "open") return { kind: worker.last_sequence === 0 ? "waiting" : "running" };
  if (worker.signal) return { kind: "signalled", signal: worker.signal };
  const code = worker.exit_code;
  if (code === null) return { kind: "failed", code: null };
  return { kind: code === 0 ? "passed" : "failed", code };
}

/** Whether the log itself fell short: what it says is then not all that there was. */
export function isIncomplete(worker: WorkerState): boolean {
  return worker.state === "closed" && !worker.complete;
}

/** How long a log must have been silent for that to be worth a word. */
export const QUIET_MS = 60_000;

/** For how long an open log has been silent, where that is long. */
export function quietFor(worker: WorkerState, now: number): number | null {
  if (worker.state === "closed") return null;
  const silent = now - Date.parse(worker.updated_at);
  return silent >= QUIET_MS ? silent : null;
}

const SIGNALS: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  5: "SIGTRAP",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  10: "SIGUSR1",
  11: "SIGSEGV",
  12: "SIGUSR2",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  31: "SIGSYS",
};

/** The signal's name on Linux, or its number. */
export function signalName(signal: number): string {
  return SIGNALS[signal] ?? `signal ${signal}`;
}

/** Whether it ended in another way than well. */
export function hasFailed(worker: WorkerState): boolean {
  return ["failed", "signalled"].includes(standingOf(worker).kind);
}

/** The one to look at first: that failed, else whose log fell short, else that still runs, else the first. */
export function mostWanted(workers: readonly WorkerState[]): WorkerState | undefined {
  const open = (worker: WorkerState) => worker.state === "open";
  return workers.find(hasFailed) ?? workers.find(isIncomplete) ?? workers.find(open) ?? workers[0];
}

let collator: Intl.Collator | undefined;

/** Made when it is needed first: no log on its own needs it, and it takes a browser milliseconds. */
function byName(one: string, other: string): number {
  collator ??= new Intl.Collator("en", { numeric: true });
  return collator.compare(one, other);
}

/** In the order of their names, with numbers as numbers, which stays as it is while they write. */
export function inOrder(workers: readonly WorkerState[]): WorkerState[] {
  return [...workers].sort((a, b) => byName(a.worker_id, b.worker_id));
}

/** How many letters all names begin with: what the task has in its own name or form. None where little is won by that. */
export function sharedLength(names: readonly string[]): number {
  const [first = ""] = names;
  let shared = names.length > 1 ? first.length : 0;
  for (const name of names) {
    while (!name.startsWith(first.slice(0, shared))) shared -= 1;
  }
  // Only up to a word's end, so that `build-10` and `build-11` do not become `0` and `1`.
  const cut = Math.max(first.lastIndexOf("-", shared - 1), first.lastIndexOf("_", shared - 1)) + 1;
  return cut < 6 ? 0 : cut;
}

/** Names without what all of them begin with. */
export function shortNames(names: readonly string[]): string[] {
  const cut = sharedLength(names);
  return cut === 0 ? [...names] : names.map((name) => `…${name.slice(cut)}`);
}

export type TaskStanding = "failed" | "running" | "passed";

export function standingOfTask(task: Pick<TaskSummary, "failed" | "open">): TaskStanding {
  if (task.failed > 0) return "failed";
  return task.open > 0 ? "running" : "passed";
}
