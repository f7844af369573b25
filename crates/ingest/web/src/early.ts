/**
 * Questions that are asked before the page is made, so that their answers are on their way meanwhile. Each is for the
 * first who asks the same; later ones ask anew.
 */

const answers = new Map<string, Promise<Response>>();

/** What a page at this address will ask first: of a worker's log, how it stands and what is in it. */
export function askFor(hash: string, ask: (address: string) => Promise<Response>): void {
  const worker = /^#\/workers\/([^/?#]+)/.exec(hash)?.[1];
  if (worker === undefined) return;
  const address = `/api/v1/workers/${worker}`;
  for (const one of [address, `${address}/outline`]) {
    const answer = ask(one);
    // Whoever takes it hears of a failure; nobody else has to.
    answer.catch(() => {});
    answers.set(one, answer);
  }
}

/** The answer to a question that was asked early, once. */
export function taken(address: string): Promise<Response> | undefined {
  const answer = answers.get(address);
  answers.delete(address);
  return answer;
}
