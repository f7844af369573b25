/**
 * The server's API, as in `/api/v1/openapi.json`. Each call ends with an answer or an `ApiError`, or is aborted by
 * its signal. Nothing here retries: that is for those who know what for.
 */

import { type Reply, TIMEOUT_MS, taken } from "./early";

export interface TaskSummary {
  task_id: string;
  workers: number;
  open: number;
  failed: number;
  lines: number;
  created_at: string;
  updated_at: string;
}

export interface WorkerState {
  worker_id: string;
  task_id: string;
  attempt: number;
  state: "open" | "closed";
  /** Closed, and no line is missing at its end. */
  complete: boolean;
  exit_code: number | null;
  /** The signal that ended the command; 0 for none. */
  signal: number | null;
  /** Why the log is not complete. */
  reason: string | null;
  last_sequence: number;
  lines: number;
  bytes: number;
  lost: number;
  created_at: string;
  updated_at: string;
}

export interface Task extends Omit<TaskSummary, "workers"> {
  workers: WorkerState[];
}

/** The states of tasks that a list can be narrowed to. */
export const taskStates = ["running", "failed", "done"] as const;
export type TaskStateName = (typeof taskStates)[number];

export interface TaskQuery {
  state?: TaskStateName | undefined;
  q?: string | undefined;
  order?: "latest" | "failed" | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface TaskPage {
  tasks: TaskSummary[];
  /** That match, on all pages. */
  total: number;
  /** Where the next page begins. */
  next?: string;
}

/** A line of text. Its `source` is `stdout`, `stderr`, `system` (the agent's own word), or another name. */
export interface TextLine {
  sequence: number;
  timestamp: string;
  source: string;
  level: string;
  message: string;
  /** The bytes in base64, where they are not UTF-8. */
  raw?: string;
  /** Bit 0: goes on in the next line; bit 1: no newline at its end. */
  flags?: number;
  metadata?: Record<string, string>;
  gap?: never;
}

/** Lines from `sequence` to `gap.last_sequence` are missing. */
export interface GapLine {
  sequence: number;
  gap: { last_sequence: number; reason: string };
}

export type Line = TextLine | GapLine;

export interface Group {
  first: number;
  /** `null` while it is open. */
  last: number | null;
  title: string;
  depth: number;
  collapsed: boolean;
  started_at: string;
  ended_at: string | null;
}

/** What one look through the whole log tells. */
export interface Outline {
  last_sequence: number;
  complete: boolean;
  gaps: [first: number, last: number, reason: string][];
  groups: Group[];
  groups_left_out?: number;
  counts: Record<string, number>;
  levels: Record<string, number>;
  first_failure: number | null;
  marks: [sequence: number, kind: string][];
  styles: [sequence: number, sgr: string][];
}

export interface SearchQuery {
  q: string;
  case?: boolean;
  regex?: boolean;
  /** Empty or absent: all of them. */
  source?: readonly string[];
  from?: number;
  limit?: number;
}

export interface SearchResult {
  matches: number;
  ranges: [first: number, last: number][];
  through: number;
  next: number | null;
}

export type TaskLine = Line & { worker_id: string };

export interface TaskLines {
  lines: TaskLine[];
  previous: string | null;
  next: string;
}

/** Why a request has no answer. `code` is the API's, or `unreachable` where nothing of it came. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | null;

  constructor(status: number, code: string, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may have an answer later. What a proxy says while it has lost the server is no refusal. */
  get isTransient(): boolean {
    return this.code === "unreachable" || this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** Whether the server was not there at all, and has not asked to be left alone. */
  get isOutOfReach(): boolean {
    return this.code === "unreachable" && this.retryAfterMs === null;
  }
}

/** What went wrong, in the words of whatever did. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** No answer came, or only part of one. */
export function unreachable(why: unknown): ApiError {
  return new ApiError(0, "unreachable", messageOf(why));
}

/** What else goes wrong on the way to an answer is the page's own fault. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "page_failed", messageOf(error));
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export interface Options {
  signal?: AbortSignal;
  /** Of what is there; the answer is `unchanged` where that is still so. */
  etag?: string | undefined;
}

export type Answer<T> = { readonly value: T; readonly etag: string | undefined } | "unchanged";

const BASE = "/api/v1";

export function url(path: string, params: Record<string, string | number | boolean | undefined> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? `${BASE}${path}` : `${BASE}${path}?${text}`;
}

const ofTask = (task: string, rest = "") => `/tasks/${encodeURIComponent(task)}${rest}`;
export const ofWorker = (worker: string, rest = "") => `/workers/${encodeURIComponent(worker)}${rest}`;

/**
 * Ends when the question is given up, or has waited too long: a server that is gone says nothing, and a browser may have
 * no connection left.
 */
function timed(signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** An answer that was asked for by others, for as long as this signal lets wait for it. */
function unless<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (signal.aborted) reject(signal.reason);
    answer.then(resolve, reject);
  });
}

/** The answer, or an `ApiError` with what the server says. */
export function request(address: string, options: Options): Promise<Response> {
  return answered((until) => fetch(address, initOf(options, until)), options.signal);
}

/** The same of JSON, which may have been asked for early. */
function requestJson(address: string, options: Options): Promise<Reply> {
  const early = taken(address);
  return early ? answered((until) => unless(until, early), options.signal) : request(address, options);
}

function initOf({ etag }: Options, signal: AbortSignal): RequestInit {
  const init: RequestInit = { cache: "no-store", signal };
  if (etag) init.headers = { "If-None-Match": etag };
  return init;
}

async function answered<T extends Reply>(ask: (until: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
  let reply: T;
  try {
    reply = await ask(timed(signal));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable(error);
  }
  if (!reply.ok && reply.status !== 304) throw await refusal(reply);
  return reply;
}

/** A refusal as the API words it. */
interface Refused {
  code: string;
  message: string;
}

/** As in `too_many_readers`. A proxy that speaks JSON as well has no code, a number, or one of another form. */
const CODE = /^[a-z]+(_[a-z]+)*$/;

function isRefused(told: unknown): told is Refused {
  if (typeof told !== "object" || told === null) return false;
  const { code, message } = told as Partial<Record<keyof Refused, unknown>>;
  return typeof code === "string" && CODE.test(code) && typeof message === "string";
}

/** What the server says of a request that it refused; a proxy before it may say something else. */
async function refusal(response: Reply): Promise<ApiError> {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : null;
  const told: unknown = await response.json().catch(() => null);
  if (isRefused(told)) return new ApiError(response.status, told.code, told.message, wait);
  return new ApiError(response.status, "unreachable", `HTTP ${response.status} ${response.statusText}`, wait);
}

async function read<T>(response: Reply, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable(error);
  }
}

async function get<T>(address: string, options: Options): Promise<T> {
  return read(await requestJson(address, options), options.signal);
}

async function getTagged<T>(address: string, options: Options): Promise<Answer<T>> {
  const response = await requestJson(address, options);
  if (response.status === 304) return "unchanged";
  const value = await read<T>(response, options.signal);
  return { value, etag: response.headers.get("etag") ?? undefined };
}

export function tasks(query: TaskQuery, options: Options = {}): Promise<Answer<TaskPage>> {
  return getTagged(url("/tasks", { ...query }), options);
}

export function task(name: string, options: Options = {}): Promise<Answer<Task>> {
  return getTagged(url(ofTask(name)), options);
}

export function worker(name: string, options: Options = {}): Promise<Answer<WorkerState>> {
  return getTagged(url(ofWorker(name)), options);
}

/** Lines from a sequence on, at most `limit` of them, one JSON object each. */
export function lines(name: string, from: number, limit: number, options: Options = {}): Promise<Response> {
  return request(url(ofWorker(name, "/logs"), { from, limit }), options);
}

export function outline(name: string, options: Options = {}): Promise<Answer<Outline>> {
  return getTagged(url(ofWorker(name, "/outline")), options);
}

export function search(name: string, query: SearchQuery, options: Options = {}): Promise<SearchResult> {
  const { source, ...rest } = query;
  return get(url(ofWorker(name, "/search"), { ...rest, source: source?.join(",") }), options);
}

/** A task's lines in order of time: from the end backward without a cursor. */
export function taskLines(
  name: string,
  query: { direction: "backward" | "forward"; cursor?: string; limit?: number },
  options: Options = {},
): Promise<TaskLines> {
  return get(url(ofTask(name, "/logs"), query), options);
}

/** Server-sent events with lines together in arrays. */
export function tailUrl(name: string, from: number): string {
  return url(ofWorker(name, "/tail"), { from, batch: true });
}

export function taskTailUrl(name: string, cursor: string): string {
  return url(ofTask(name, "/tail"), { cursor });
}

/** The text as the command wrote it, from one sequence to another. */
export function textUrl(name: string, range: { from?: number; to?: number; download?: boolean } = {}): string {
  return url(ofWorker(name, "/log.txt"), range);
}
