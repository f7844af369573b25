/** Lines from the server, as they come: a window of a log is drawn before its last line is here. */

import { ApiError, lines } from "../api";

/** The NDJSON of at most `limit` lines from a sequence on. */
export async function lineStream(
  worker: string,
  from: number,
  limit: number,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const { status, body } = await lines(worker, from, limit, { signal });
  if (!body) throw new ApiError(status, "unreachable", "an answer without a body");
  return body;
}
