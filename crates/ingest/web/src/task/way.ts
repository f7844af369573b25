/** How a task is shown, and which of its workers, as its address says it. */

import type { WorkerState } from "../api";
import { divided, withEntry } from "../route";
import { hasFailed, mostWanted } from "../worker/standing";

export const ways = ["tabs", "side", "time"] as const;
export type Way = (typeof ways)[number];

/** Logs side by side: more are too narrow to be read. */
export const MOST_BESIDE = 4;

/** The entries of the address that are the task's; the others are the log's. */
const OWN = ["show", "w"] as const;

export interface Shown {
  readonly way: Way;
  /** As tabs: the one that is shown. Side by side: all of them, in the order in which they were put there. */
  readonly workers: readonly WorkerState[];
  /** Those that the address names, in the same order, whether they are there or not. */
  readonly named: readonly string[];
  /** What the address says to the log. */
  readonly log: URLSearchParams;
}

/** `kept` are those who were shown by themselves before: whoever reads is not carried off when others become more wanted. */
export function shownOf(query: URLSearchParams, workers: readonly WorkerState[], kept: readonly string[] = []): Shown {
  const way = ways.find((name) => name === query.get("show")) ?? "tabs";
  const named = query.getAll("w");
  const chosen = workersOf(named, workers);
  const isThere = chosen.length > 0;
  // What is said to the log of one who is not there is for nobody else's.
  const log = isThere || named.length === 0 ? divided(query, OWN)[1] : new URLSearchParams();
  return {
    way,
    workers: isThere ? limited(way, chosen) : byItself(way, workers, workersOf(kept, workers)),
    named,
    log,
  };
}

function limited(way: Way, chosen: readonly WorkerState[]): WorkerState[] {
  // By time nobody is shown more than others; the address names those to come back to.
  return chosen.slice(0, { tabs: 1, side: MOST_BESIDE, time: 0 }[way]);
}

/** Nobody whom the address names is there. */
export function isByItself({ named, workers }: Shown): boolean {
  return !workers.some(({ worker_id }) => named.includes(worker_id));
}

/** Where the address names nobody: the one to look at first, and beside it another. */
function byItself(way: Way, workers: readonly WorkerState[], kept: readonly WorkerState[]): WorkerState[] {
  if (way === "time") return [];
  const first = mostWanted(workers);
  return carried(way, workers, kept.length > 0 ? kept : first ? [first] : []);
}

/** The failed worker that comes next after the one that was put there last, behind the last one the first again. */
export function nextFailed(all: readonly WorkerState[], shown: readonly WorkerState[]): WorkerState | undefined {
  const last = shown[shown.length - 1];
  const ahead = last ? all.indexOf(last) + 1 : 0;
  return [...all.slice(ahead), ...all].find((worker) => hasFailed(worker) && !shown.includes(worker));
}

/** Those that a person has been reading, the one of them that he reads first; by time those that were shown before. */
export function lastRead({ way, workers, named }: Shown, all: readonly WorkerState[], read?: string): WorkerState[] {
  const known = way === "time" ? workersOf(named, all) : workers;
  return [...known].sort((one, other) => Number(other.worker_id === read) - Number(one.worker_id === read));
}

/** Who of those that were shown in one way are shown in another, and beside one alone the next that failed. Nobody is beside nobody. */
export function carried(way: Way, all: readonly WorkerState[], shown: readonly WorkerState[]): WorkerState[] {
  if (way === "time") return [...shown];
  if (way === "tabs") return shown.slice(0, 1);
  const other = shown.length < 2 && (nextFailed(all, shown) ?? all.find((worker) => !shown.includes(worker)));
  return other ? [...shown, other] : [...shown];
}

/** The address with a worker chosen: alone, or put beside the others. */
export function chosenQuery({ way, workers }: Shown, worker: WorkerState): URLSearchParams {
  const side = way === "side";
  const chosen = side ? toggled(workers, worker) : [worker];
  return queryOf(side ? "side" : "tabs", namesOf(chosen));
}

/** Whether Back undoes it: another way, and not one worker after the other. */
export function chosenHow({ way }: Shown): "push" | "replace" {
  return way === "time" ? "push" : "replace";
}

/** Whom the address names that it did not name before, the last of them: somebody has put him there. */
export function newcomer(before: readonly string[], now: readonly string[]): string | undefined {
  return now.findLast((name) => !before.includes(name));
}

/** Those of these names who are there. */
export function workersOf(names: readonly string[], workers: readonly WorkerState[]): WorkerState[] {
  return names.flatMap((name) => workers.find(({ worker_id }) => worker_id === name) ?? []);
}

export function namesOf(workers: readonly WorkerState[]): string[] {
  return workers.map(({ worker_id }) => worker_id);
}

/** The address with another way, or other workers. What it says to the log was of another log. */
export function queryOf(way: Way, workers: readonly string[]): URLSearchParams {
  const query = withEntry(new URLSearchParams(), "show", way === "tabs" ? undefined : way);
  for (const name of workers) query.append("w", name);
  return query;
}

/** The address of what is shown, with the names of who is shown by himself. */
export function namingQuery({ way, workers, log }: Shown): URLSearchParams {
  const query = queryOf(way, namesOf(workers));
  for (const [name, value] of log) query.append(name, value);
  return query;
}

/** The same task, with something else for the log of a worker: who opens it elsewhere is to see the same one. */
export function withLog(query: URLSearchParams, worker: string, log: URLSearchParams): URLSearchParams {
  const [own] = divided(query, OWN);
  if (log.size > 0) own.set("w", worker);
  for (const [name, value] of log) own.append(name, value);
  return own;
}

/**
 * The workers side by side with this one put in or taken out; the one that was put in first makes room. The last is
 * always the one that was put in last: else who goes from one to the next would come back to some, and never to others.
 */
export function toggled(shown: readonly WorkerState[], worker: WorkerState): WorkerState[] {
  if (shown.includes(worker)) return shown.length > 1 ? shown.filter((other) => other !== worker) : [...shown];
  const kept = shown.length < MOST_BESIDE ? shown : shown.slice(1);
  return [...kept, worker];
}

export function nextWay(way: Way, by: number): Way {
  const at = (ways.indexOf(way) + by + ways.length) % ways.length;
  return ways[at] ?? "tabs";
}
