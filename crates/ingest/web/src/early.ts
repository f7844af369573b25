/**
 * Questions that are asked before the page is made, so that their answers are on their way meanwhile. Each is for those
 * who ask the same first, within moments; later ones ask anew. What nobody takes is given up.
 */

import { lineOf, placeOf } from "./log/place";

/** The ends of a range of lines, both of it. */
type Lines = readonly [first: number, last: number];

type Ask = (address: string, signal: AbortSignal) => Promise<Response>;

/** Lines that are asked for where a log may be opened: what most windows show, and some more. */
const LINES = 128;
/** How a worker stands is asked for its log and for what stands above it. */
const STATE_ASKERS = 2;
/** What was not taken by then would be old. */
export const FRESH_MS = 5_000;
/** What is not here by then does not come, as with all other questions. */
export const TIMEOUT_MS = 30_000;

class Question {
  readonly abort = new AbortController();
  readonly response: Promise<Response>;

  constructor(address: string, ask: Ask) {
    this.response = ask(address, this.abort.signal);
    // Whoever takes it hears of a failure; nobody else has to.
    this.response.catch(() => {});
    setTimeout(() => this.abort.abort(new DOMException("no answer", "TimeoutError")), TIMEOUT_MS);
  }
}

/** As much of a `Response` as is needed where an answer is JSON. */
export type Reply = Pick<Response, "ok" | "status" | "statusText" | "headers" | "json">;

/** One whose answer is read as soon as it comes: whoever takes it then has it before the next frame. */
class Prefetched {
  readonly question: Question;
  readonly reply: Promise<Reply>;
  /** For how many its answer is yet. */
  askers: number;
  isTaken = false;

  constructor(address: string, ask: Ask, askers = 1) {
    this.askers = askers;
    this.question = new Question(address, ask);
    this.reply = this.question.response.then(read);
    this.reply.catch(() => {});
  }
}

async function read(response: Response): Promise<Reply> {
  const { ok, status, statusText, headers } = response;
  const text = await response.text();
  return { ok, status, statusText, headers, json: async () => JSON.parse(text) };
}

interface Opening {
  readonly question: Question;
  /** Of a log with so many lines; none where it is too short. */
  of(end: number): Lines | undefined;
}

/** Lines that were asked for early. */
export interface EarlyLines {
  readonly lines: Lines;
  readonly response: Promise<Response>;
  readonly abort: AbortController;
}

const answers = new Map<string, Prefetched>();
const openings = new Map<string, Opening>();

/**
 * What a page at this address, with this state of its entry in the history, will ask first: of a worker's log, how it
 * stands, what is in it, its lines where it was left, there or at its end.
 */
export function askFor(hash: string, state: unknown, ask: Ask): void {
  const worker = workerOf(hash);
  if (worker === undefined) return;
  const address = `/api/v1/workers/${worker}`;
  const place = placeOf(state, decodeURIComponent(worker));
  answers.set(address, new Prefetched(address, ask, STATE_ASKERS));
  answers.set(`${address}/outline`, new Prefetched(`${address}/outline`, ask));
  const { from, of } = openingAt(place ? lineOf(place) : linkedLine(hash));
  openings.set(address, { question: new Question(`${address}/logs?from=${from}&limit=${LINES}`, ask), of });
  setTimeout(giveUp, FRESH_MS);
}

/** The answer to a question that was asked early, if it is for one more. */
export function taken(address: string): Promise<Reply> | undefined {
  const known = answers.get(address);
  if (!known) return undefined;
  known.askers -= 1;
  known.isTaken = true;
  if (known.askers === 0) answers.delete(address);
  return known.reply;
}

/** Lines that were asked for early, of the worker at this address, whose log has so many; once. */
export function takenLines(address: string, end: number): EarlyLines | undefined {
  const opening = openings.get(address);
  if (!opening) return undefined;
  openings.delete(address);
  const { response, abort } = opening.question;
  const lines = opening.of(end);
  if (lines) return { lines, response, abort };
  abort.abort();
  return undefined;
}

/** An answer that nobody reads would keep its connection. One that was taken may be waited for yet. */
function giveUp(): void {
  const untaken = [...[...answers.values()].filter(({ isTaken }) => !isTaken), ...openings.values()];
  answers.clear();
  openings.clear();
  for (const { question } of untaken) question.abort.abort();
}

/** The worker that an address is of, as the API's addresses spell it. */
function workerOf(hash: string): string | undefined {
  const name = /^#\/workers\/([^/?#]+)(?:[?#]|$)/.exec(hash)?.[1];
  try {
    return name && encodeURIComponent(decodeURIComponent(name));
  } catch {
    return undefined;
  }
}

/** The line that a link leads to. */
function linkedLine(hash: string): number | null {
  const line = /(?:#L|[?&]line=)(\d+)/.exec(hash.slice(1))?.[1];
  return line === undefined ? null : Number(line);
}

/** Lines around one, or the last ones: how many there are is not known yet. */
function openingAt(line: number | null): { from: number; of: Opening["of"] } {
  if (line === null) return { from: -LINES, of: (end) => (end < 1 ? undefined : [Math.max(1, end - LINES + 1), end]) };
  const from = Math.max(1, line - LINES / 2);
  return { from, of: (end) => (end < from ? undefined : [from, Math.min(end, from + LINES - 1)]) };
}
