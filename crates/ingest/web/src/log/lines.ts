/** Lines from the server, as they come: a window of a log is drawn before its last line is here. */

import { ApiError, lines } from "../api";

/** The NDJSON of at most `limit` lines from a sequence on. */
export async function lineStream(
  worker: string,
  from: number,
  limit: number,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  return bodyOf(lines(worker, from, limit, { signal }));
}

/** What an answer holds, where it is one. */
export async function bodyOf(answer: Promise<Response>): Promise<ReadableStream<Uint8Array>> {
  const { ok, status, body } = await answer;
  if (!ok || !body) throw new ApiError(status, "unreachable", "an answer without a body");
  return body;
}
