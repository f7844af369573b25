/** Lines from the server, as they come: a window of a log is drawn before its last line is here. */

import { ApiError, timed } from "../api";

/** The NDJSON of at most `limit` lines from a sequence on. */
export async function lineStream(
  worker: string,
  from: number,
  limit: number,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const address = `/api/v1/workers/${encodeURIComponent(worker)}/logs?from=${from}&limit=${limit}`;
  const response = await fetch(address, { signal: timed(signal) }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new ApiError(0, "unreachable", error instanceof Error ? error.message : String(error));
  });
  if (response.ok && response.body) return response.body;
  const { code, message } = (await response.json().catch(() => ({}))) as { code?: string; message?: string };
  throw new ApiError(response.status, code ?? "unreachable", message ?? `HTTP ${response.status}`);
}
