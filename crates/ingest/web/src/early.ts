/**
 * Questions that are asked before the page is made, so that their answers are on their way meanwhile. Each is for those
 * who ask the same first; later ones ask anew.
 */

/** The ends of a range of lines, both of it. */
type Lines = readonly [first: number, last: number];

/** Lines that are asked for where a log may be opened: what most windows show, and some more. */
const LINES = 128;

/** How a worker stands is asked for its log and for what stands above it. */
const STATE_ASKERS = 2;

interface Answer {
  readonly response: Promise<Response>;
  /** For how many it is yet. */
  askers: number;
}

interface Opening {
  readonly response: Promise<Response>;
  /** Of a log with so many lines; none where it is too short. */
  of(end: number): Lines | undefined;
}

const answers = new Map<string, Answer>();
const openings = new Map<string, Opening>();

/** What a page at this address will ask first: of a worker's log, how it stands, what is in it, its lines there or at its end. */
export function askFor(hash: string, ask: (address: string) => Promise<Response>): void {
  const worker = /^#\/workers\/([^/?#]+)/.exec(hash)?.[1];
  if (worker === undefined) return;
  const quietly = (address: string) => {
    const response = ask(address);
    // Whoever takes it hears of a failure; nobody else has to.
    response.catch(() => {});
    return response;
  };
  const address = `/api/v1/workers/${worker}`;
  answers.set(address, { response: quietly(address), askers: STATE_ASKERS });
  const outline = `${address}/outline`;
  answers.set(outline, { response: quietly(outline), askers: 1 });
  const { from, of } = openingAt(lineOf(hash));
  openings.set(address, { response: quietly(`${address}/logs?from=${from}&limit=${LINES}`), of });
}

/** The answer to a question that was asked early, if it is for one more. */
export function taken(address: string): Promise<Response> | undefined {
  const answer = answers.get(address);
  if (!answer) return undefined;
  answer.askers -= 1;
  if (answer.askers > 0) return answer.response.then((response) => response.clone());
  answers.delete(address);
  return answer.response;
}

/** Lines that were asked for early, of the worker at this address, whose log has so many; once. */
export function takenLines(address: string, end: number): { lines: Lines; response: Promise<Response> } | undefined {
  const opening = openings.get(address);
  openings.delete(address);
  const lines = opening?.of(end);
  return opening && lines && { lines, response: opening.response };
}

/** The line that a link leads to. */
function lineOf(hash: string): number | null {
  const line = /(?:#L|[?&]line=)(\d+)/.exec(hash.slice(1))?.[1];
  return line === undefined ? null : Number(line);
}

/** Lines around one, or the last ones: how many there are is not known yet. */
function openingAt(line: number | null): { from: number; of: Opening["of"] } {
  if (line === null) return { from: -LINES, of: (end) => (end < 1 ? undefined : [Math.max(1, end - LINES + 1), end]) };
  const from = Math.max(1, line - LINES / 2);
  return { from, of: (end) => (end < from ? undefined : [from, Math.min(end, from + LINES - 1)]) };
}
