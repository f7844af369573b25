/** What a worker's shell is told, a piece after the other, with the pauses of a build. */

/** So many lines come at once, as a build prints them. */
const BURST = 40;
const FEW = 2;
const PAUSE = "sleep 0.02";

export class Script {
  readonly #commands: string[] = [];
  #clock = Math.floor(Date.now() / 1_000);
  lines = 0;

  get text(): string {
    return this.#commands.join("\n");
  }

  says(...lines: string[]): this {
    return this.#print(lines, "");
  }

  /** A few at a time, as what takes its time prints them. */
  drips(...lines: string[]): this {
    return this.#print(lines, "", FEW);
  }

  /** On stderr. */
  errs(...lines: string[]): this {
    return this.#print(lines, " >&2");
  }

  /** In the dialect that tells how long a group took. */
  group(title: string, seconds: number, lines: readonly string[]): this {
    const name = `part_${this.#clock}`;
    this.says(`section_start:${this.#clock}:${name}[collapsed=true]\r\x1b[0K${title}`, ...lines);
    this.#clock += seconds;
    return this.says(`section_end:${this.#clock}:${name}\r\x1b[0K`);
  }

  exit(code: number): this {
    this.#commands.push(`exit ${code}`);
    return this;
  }

  #print(lines: readonly string[], where: string, burst = BURST): this {
    for (let at = 0; at < lines.length; at += burst) {
      const quoted = lines.slice(at, at + burst).map((line) => `'${line.replaceAll("'", `'\\''`)}'`);
      this.#commands.push(`printf '%s\\n' ${quoted.join(" ")}${where}`, PAUSE);
    }
    this.lines += lines.length;
    return this;
  }
}
