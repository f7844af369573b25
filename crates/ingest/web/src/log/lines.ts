/** Lines from the server, as they come: a window of a log is drawn before its last line is here. */

import { ApiError, ofWorker, request, url } from "../api";

/** The NDJSON of at most `limit` lines from a sequence on. */
export async function lineStream(
  worker: string,
  from: number,
  limit: number,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const { body } = await request(url(ofWorker(worker, "/logs"), { from, limit }), { signal });
  if (body) return body;
  throw new ApiError(0, "unreachable", "");
}
