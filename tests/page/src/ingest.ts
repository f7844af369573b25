/** A log-ingest of a test's own, and agents that send to it. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "./process.js";
import { LIMIT_MS, until } from "./wait.js";

export interface WorkerState {
  worker_id: string;
  state: "open" | "closed";
  complete: boolean;
  exit_code: number | null;
  last_sequence: number;
  lines: number;
  lost: number;
}

const ANY_PORT = "127.0.0.1:0";

/** Its folder, and its addresses once it has any: it can be killed and started again on the same. */
export class Ingest {
  readonly #folder = mkdtempSync(join(tmpdir(), "otto-page-"));
  readonly #flags: readonly string[];
  #grpc = ANY_PORT;
  #http = ANY_PORT;
  #program: Program | undefined;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  static async start(...flags: string[]): Promise<Ingest> {
    const ingest = new Ingest(flags);
    await ingest.resume();
    return ingest;
  }

  /** Starts it again after `kill`. */
  async resume(): Promise<void> {
    const addresses = ["--grpc-addr", this.#grpc, "--http-addr", this.#http, "--admin-addr", ANY_PORT];
    const store = ["--data-dir", join(this.#folder, "data"), "--disk-reserve", "0"];
    this.#program = new Program("log-ingest", [...store, ...addresses, ...this.#flags]);
    const told = await this.#program.saying("log-ingest listening");
    this.#grpc = /grpc"?[=:]"?([\d.:]+)/.exec(told)?.[1] ?? ANY_PORT;
    this.#http = /http"?[=:]"?([\d.:]+)/.exec(told)?.[1] ?? ANY_PORT;
  }

  async kill(): Promise<void> {
    await this.#program?.kill();
    this.#program = undefined;
  }

  /** Kills it and empties its disk, and those of its agents. */
  async loseAll(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
    mkdirSync(this.#folder);
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** An address of the page or of the API. */
  url(path = "/"): string {
    return `http://${this.#http}${path}`;
  }

  /** An agent that runs a shell, which does what it is told: `sh` reads its commands from stdin. */
  agent(task: string, worker: string, ...flags: string[]): Agent {
    return new Agent(this, `http://${this.#grpc}`, join(this.#folder, "spool"), task, worker, flags);
  }

  /** Runs a worker to its end, until all that it said is here. */
  async ran(task: string, worker: string, script: string, ...flags: string[]): Promise<WorkerState> {
    const agent = this.agent(task, worker, ...flags);
    agent.does(script);
    return agent.done();
  }

  async worker(worker: string): Promise<WorkerState> {
    const response = await fetch(this.url(`/api/v1/workers/${encodeURIComponent(worker)}`));
    if (!response.ok) throw new Error(`${worker}: HTTP ${response.status}`);
    return (await response.json()) as WorkerState;
  }
}

export class Agent {
  readonly task: string;
  readonly worker: string;
  readonly #ingest: Ingest;
  readonly #program: Program;
  readonly #marker: string;

  constructor(ingest: Ingest, url: string, spool: string, task: string, worker: string, flags: readonly string[]) {
    this.#ingest = ingest;
    this.task = task;
    this.worker = worker;
    this.#marker = `${spool}-${worker}.stop`;
    const names = ["--ingest-url", url, "--task-id", task, "--worker-id", worker, "--spool-dir", spool];
    const ends = ["--flush-timeout", "2min", "--summary", `${spool}-${worker}.json`, "--mirror", "false"];
    this.#program = new Program("otto-agent", ["run", ...names, ...ends, ...flags, "--", "sh"]);
  }

  /** Has the shell do something more. */
  does(script: string): void {
    this.#program.write(`${script}\n`);
  }

  /** Prints lines to the log. */
  says(...lines: string[]): void {
    for (const line of lines) this.does(`printf '%s\\n' '${line.replaceAll("'", `'\\''`)}'`);
  }

  /** Prints line after line, each of which says its own number, until it is told to stop. */
  counts(): void {
    this.does(`n=1; while [ ! -e ${this.#marker} ]; do seq $n $((n + 1)); n=$((n + 2)); sleep 0.05; done`);
  }

  stops(): void {
    writeFileSync(this.#marker, "");
  }

  /** Waits until log-ingest has so many lines of it. */
  async sent(lines: number, limit = LIMIT_MS): Promise<void> {
    const has = () => this.#ingest.worker(this.worker);
    await until(`${this.worker} has sent ${lines} lines`, has, (state) => state.last_sequence >= lines, limit);
  }

  /** Nothing more is to do: waits until the agent has ended and its log is closed. */
  async done(limit = LIMIT_MS): Promise<WorkerState> {
    this.#program.closeInput();
    await this.#program.ended(limit);
    const has = () => this.#ingest.worker(this.worker);
    return until(`the log of ${this.worker} is closed`, has, (state) => state.state === "closed", limit);
  }

  async kill(): Promise<void> {
    await this.#program.kill();
  }
}
