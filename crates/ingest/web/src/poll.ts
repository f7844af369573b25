/** Asks again and again, as long as somebody looks. */

import { useEffect, useRef, useState } from "preact/hooks";
import { answers, onAnswers } from "./answers";
import { type Answer, ApiError, asApiError, type Options } from "./api";

/** From an answer to the next question. */
const EVERY_MS = 2_000;
/** The longest wait where the server cannot be reached. */
const MOST_MS = 30_000;

/** How long to wait after so many failures in a row; `share`, 0 to 1, spreads those who failed together. */
export function waitAfter(failures: number, retryAfterMs: number | null, share: number): number {
  if (failures === 0) return EVERY_MS;
  const wait = Math.min(EVERY_MS * 2 ** (failures - 1), MOST_MS);
  return Math.max(wait * (0.75 + 0.5 * share), retryAfterMs ?? 0);
}

/** What is known of something that the server is asked for. */
export interface Polled<T> {
  /** The latest answer. */
  readonly value: T | undefined;
  /** Why the last question had no answer; `value` is then of before. */
  readonly error: ApiError | undefined;
}

type Ask<T> = (options: Options) => Promise<Answer<T>>;

/**
 * The answer to `ask`, kept up to date until `done` says that it will not change. `key` tells questions apart: with
 * another one it begins anew. A hidden page asks nothing; one that is shown again asks at once.
 */
export function usePolled<T>(key: string, ask: Ask<T>, done: (value: T) => boolean = () => false): Polled<T> {
  const [state, setState] = useState<Polled<T> & { key: string }>({ key, value: undefined, error: undefined });
  const now = useRef({ ask, done });
  now.current = { ask, done };
  useEffect(() => {
    const leave = new AbortController();
    const ended = poll<T>(
      (options) => now.current.ask(options),
      (value) => {
        setState({ key, value, error: undefined });
        return now.current.done(value);
      },
      (error) =>
        setState((before) => {
          if (before.key !== key) return { key, value: undefined, error };
          return before.error === error ? before : { ...before, error };
        }),
      leave.signal,
    );
    ended.catch((error) => setState({ key, value: undefined, error: asApiError(error) }));
    return () => leave.abort();
  }, [key]);
  // What is known of another question is no answer to this one.
  return state.key === key ? state : { value: undefined, error: undefined };
}

/** What is known between two questions. */
export interface Asked {
  readonly etag: string | undefined;
  /** In a row, up to now. */
  readonly failures: number;
  readonly retryAfterMs: number | null;
}

export const NEVER_ASKED: Asked = { etag: undefined, failures: 0, retryAfterMs: null };

/** What an answer, or that there is none, changes of that. */
export function heard<T>(before: Asked, answer: Answer<T> | ApiError): Asked {
  if (!(answer instanceof ApiError)) {
    return { etag: answer === "unchanged" ? before.etag : answer.etag, failures: 0, retryAfterMs: null };
  }
  // What is not there yet is asked for as often as what is.
  const failures = answer.isTransient ? before.failures + 1 : 1;
  return { etag: before.etag, failures, retryAfterMs: answer.retryAfterMs };
}

/** Whether to ask at once when the server answers another; not where it was there, and asked to be left alone. */
export function isOutOfReach({ failures, retryAfterMs }: Asked): boolean {
  return failures > 0 && retryAfterMs === null;
}

/** Whether others are to hear of it: the first answer after the server had none. A refusal may come again and again. */
export function isBack({ failures }: Asked, answer: Answer<unknown> | ApiError): boolean {
  return failures > 0 && !(answer instanceof ApiError);
}

/** Asks, until `onAnswer` says that nothing more is to be known. */
export async function poll<T>(
  ask: Ask<T>,
  onAnswer: (value: T) => boolean,
  onError: (error: ApiError | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  let asked = NEVER_ASKED;
  while (!signal.aborted) {
    const answer = await ask({ signal, etag: asked.etag }).catch(asApiError);
    if (signal.aborted) return;
    const isDone = tell(answer, onAnswer, onError);
    // When it is told here, so that all that is said of the server's silence goes at once.
    if (isBack(asked, answer)) answers();
    if (isDone) return;
    asked = heard(asked, answer);
    await pause(waitAfter(asked.failures, asked.retryAfterMs, Math.random()), signal, isOutOfReach(asked));
  }
}

/** Whether nothing more is to be known. */
function tell<T>(
  answer: Answer<T> | ApiError,
  onAnswer: (value: T) => boolean,
  onError: (error: ApiError | undefined) => void,
): boolean {
  if (answer !== "unchanged" && !(answer instanceof ApiError)) return onAnswer(answer.value);
  onError(answer === "unchanged" ? undefined : answer);
  return false;
}

/**
 * Waits, and then until the page is shown. Ends early when the page is shown again, or the network is back; where
 * that is wanted, also when the server is.
 */
function pause(milliseconds: number, signal: AbortSignal, untilAnswers: boolean): Promise<void> {
  return new Promise((resolve) => {
    let over = false;
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
      window.removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      leave?.();
      resolve();
    };
    const shown = () => {
      if (!document.hidden && over) end();
    };
    const timer = setTimeout(() => {
      over = true;
      shown();
    }, milliseconds);
    document.addEventListener("visibilitychange", shown);
    window.addEventListener("online", end);
    signal.addEventListener("abort", end);
    const leave = untilAnswers ? onAnswers(end) : undefined;
    if (signal.aborted) end();
  });
}
