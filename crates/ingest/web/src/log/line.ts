/** What the server says of one line, and the part of it that the page keeps. */

import { isAborted, unreachable } from "../api";

/** Characters of a line that are kept; the rest of a longer one is asked for when somebody wants to see it. */
export const KEPT_CHARACTERS = 8_192;

export type Source = "stdout" | "stderr" | "system";

export const SOURCES: readonly Source[] = ["stdout", "stderr", "system"];

export interface Line {
  readonly kind: "line";
  readonly sequence: number;
  readonly timestamp: string;
  readonly source: Source;
  readonly level: string;
  readonly message: string;
  /** Characters of the whole message; more than `message` has where it was cut. */
  readonly length: number;
  /** The line goes on in the next one. */
  readonly continues: boolean;
  /** The command wrote no newline after it. */
  readonly unterminated: boolean;
}

/** Stands for the lines `sequence..=last`, which are not there. */
export interface Gap {
  readonly kind: "gap";
  readonly sequence: number;
  readonly last: number;
  readonly reason: string;
}

export type Entry = Line | Gap;

interface Wire {
  sequence: number;
  gap?: { last_sequence: number; reason: string };
  timestamp?: string;
  source?: string;
  level?: string;
  message?: string;
  flags?: number;
}

export function lastOf(entry: Entry): number {
  return entry.kind === "gap" ? entry.last : entry.sequence;
}

/** One parsed value of the API → an entry. */
export function entryOf(value: unknown, kept = KEPT_CHARACTERS): Entry {
  const wire = value as Wire;
  if (wire.gap) {
    return { kind: "gap", sequence: wire.sequence, last: wire.gap.last_sequence, reason: wire.gap.reason };
  }
  const message = wire.message ?? "";
  const flags = wire.flags ?? 0;
  return {
    kind: "line",
    sequence: wire.sequence,
    timestamp: wire.timestamp ?? "",
    source: sourceOf(wire.source),
    level: wire.level ?? "",
    message: message.length > kept ? detached(message.slice(0, kept)) : message,
    length: message.length,
    continues: (flags & 1) !== 0,
    unterminated: (flags & 2) !== 0,
  };
}

function sourceOf(name: string | undefined): Source {
  return name === "stderr" || name === "system" ? name : "stdout";
}

/** A slice keeps its whole string alive; this copy does not. */
function detached(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/**
 * Reads `application/x-ndjson` as it comes and hands over each value, until `take` says that it has enough. An
 * `ApiError` where the answer breaks off.
 */
export async function readLines(
  body: ReadableStream<Uint8Array>,
  take: (value: unknown, length: number) => boolean,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    const pieces = (value ? decoder.decode(value, { stream: true }) : decoder.decode()).split("\n");
    const last = pieces.pop() ?? "";
    for (const piece of pieces) {
      const line = rest.join("") + piece;
      rest = [];
      if (line !== "" && !take(JSON.parse(line), line.length)) return reader.cancel();
    }
    if (last !== "") rest.push(last);
    if (done) break;
  }
  if (rest.length > 0) brokenOff("the answer was cut");
}

/** What has been given up is nobody's fault. */
function brokenOff(why: unknown): never {
  if (isAborted(why)) throw why;
  throw unreachable(why);
}
