/** Programs that a test starts. Each is ended by its own id, with the test that started it or with the last one. */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { LIMIT_MS, until } from "./wait.js";

/** Of what a program says, the end is kept. */
const KEPT_CHARACTERS = 64 * 1024;

const running = new Set<Program>();

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  #said = "";
  #ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;

  constructor(name: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.name = name;
    const env = { ...process.env, NO_COLOR: "1", ...environment };
    this.#child = spawn(join(binaries(), name), args, { env, stdio: ["pipe", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-KEPT_CHARACTERS);
    });
    // Whoever writes to a program that has ended finds out by how it ended.
    this.#child.stdin?.on("error", () => {});
    this.#child.on("error", (error) => {
      this.#said += String(error);
      this.#ended = { code: null, signal: null };
    });
    this.#child.on("close", (code, signal) => {
      this.#ended = { code, signal };
      running.delete(this);
    });
    running.add(this);
  }

  /** Waits until it has said this, and gives the line. */
  async saying(text: string): Promise<string> {
    const line = await until(`${this.name} says "${text}"`, () => {
      if (this.#ended) throw new Error(`it ended: ${this.#said}`);
      return this.#said.split("\n").find((line) => line.includes(text));
    });
    return line ?? "";
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Nothing more is written to it. */
  closeInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits until it ends by itself; its exit code. */
  async ended(limit = LIMIT_MS): Promise<number | null> {
    const told = () => this.#ended ?? this.#said;
    await until(`${this.name} ends`, told, () => this.#ended !== undefined, limit);
    return this.#ended?.code ?? null;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#ended) return;
    this.#child.kill(signal);
    await this.ended();
  }
}

/** Ends what is left. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map((program) => program.kill()));
}

/** Where the programs under test are. */
function binaries(): string {
  const folder = process.env["OTTO_PROGRAMS"];
  if (!folder) throw new Error("OTTO_PROGRAMS must name the folder of the programs under test: run scripts/page-tests");
  return folder;
}
