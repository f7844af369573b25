// Sends numbered entries without waiting for each answer, and goes on where it was after a cut.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Summary } from './answer';
import type {
  LogEntry,
  LogResponse__Output,
  LogStreamingServiceClient,
  RegistrationResponse__Output,
} from './contract';
import { TASK, entry, lines } from './lines';

// Lines that wait for their answer at the most. Beyond it the producer of the lines waits.
const WINDOW = 256;

export class Pipeline {
  private readonly incarnation = randomBytes(16);
  private readonly lines = lines();
  // A line that is being read. It outlives a stream.
  private reading = false;
  private ended = false; // no more lines will come
  private last = 0;
  // Without an answer, in order. Those before next are on their way.
  private unacked: (LogEntry & { sequence: number })[] = [];
  private next = 0;
  // Answers that are to come.
  private outstanding = 0;
  // After a RETRY nothing is sent until the whole flight is answered and a pause has passed.
  private rewinding = false;
  // Does what can be done now. Set while there is a stream.
  private wake: () => void = () => {};
  private fail: (error: unknown) => void = () => {};

  constructor(
    private readonly client: LogStreamingServiceClient,
    private readonly worker: string,
    private readonly total: Summary,
  ) {}

  async run(): Promise<void> {
    await this.register();
    for (;;) {
      try {
        return await this.stream();
      } catch (error) {
        console.error(`the stream ended: ${error}`);
      }
      await this.register();
      this.total.resumed += 1;
    }
  }

  // Registers, for as long as it takes, and takes up where the server is.
  private async register(): Promise<void> {
    let answer = await this.tryRegister();
    for (let wait = 100; answer instanceof Error; wait = Math.min(2 * wait, 2000)) {
      console.error(`cannot register: ${answer.message}`);
      // Some chance in it, so that not all clients come back in the same moment.
      await sleep(wait * (0.5 + Math.random() / 2));
      answer = await this.tryRegister();
    }
    if (answer.status !== 'SUCCESS' && answer.status !== 'ALREADY_REGISTERED') {
      throw new Error(`not registered: ${answer.status}: ${answer.message}`);
    }
    const mark = answer.lastSequence;
    if (this.unacked[0] && mark + 1 < this.unacked[0].sequence) {
      throw new Error(`the server has forgotten lines after ${mark} that it acknowledged`);
    }
    // Durable, though their answers were lost.
    this.total.acked += this.settle(mark);
    this.next = 0;
    this.outstanding = 0;
    this.rewinding = false;
  }

  private tryRegister(): Promise<RegistrationResponse__Output | Error> {
    const request = { workerId: this.worker, taskId: TASK, incarnation: this.incarnation };
    const deadline = Date.now() + 5000;
    return new Promise((resolve) => {
      this.client.registerWorker(request, { deadline }, (error, answer) =>
        resolve(answer ?? error ?? new Error('no answer')),
      );
    });
  }

  // Lets go of everything up to a sequence.
  private settle(sequence: number): number {
    const first = this.unacked.findIndex((entry) => entry.sequence > sequence);
    const settled = first === -1 ? this.unacked.length : first;
    this.unacked.splice(0, settled);
    this.next = Math.max(0, this.next - settled);
    return settled;
  }

  // Sends and takes answers until all is settled or the stream ends.
  private stream(): Promise<void> {
    const call = this.client.streamLogs();
    const run = new Promise<void>((resolve, reject) => {
      this.fail = reject;
      this.wake = () => {
        while (!this.rewinding && this.next < this.unacked.length) {
          call.write(this.unacked[this.next]);
          this.next += 1;
          this.outstanding += 1;
        }
        if (this.ended && this.unacked.length === 0) call.end();
        else this.read();
      };
      call.on('data', (response: LogResponse__Output) => {
        this.answered(response);
        this.wake();
      });
      call.on('error', reject);
      call.on('end', () =>
        this.ended && this.unacked.length === 0 ? resolve() : reject(new Error('by the server')),
      );
      this.wake();
    });
    return run.finally(() => {
      this.wake = () => {};
    });
  }

  // Takes the next line, one at a time, where the window has room for it.
  private read(): void {
    if (this.reading || this.ended || this.rewinding || this.unacked.length >= WINDOW) return;
    this.reading = true;
    this.lines.next().then(
      (line) => {
        this.reading = false;
        if (line.done) this.ended = true;
        else this.unacked.push({ ...entry(this.worker, line.value), sequence: ++this.last });
        this.wake();
      },
      (error: unknown) => this.fail(error),
    );
  }

  private answered(response: LogResponse__Output): void {
    this.outstanding -= 1;
    if (response.status === 'RETRY') {
      // Once for each flight: what is behind the first gets the same answer, and is sent again with it.
      const pause = this.total.retry(response);
      if (!this.rewinding) this.rewind(pause);
    } else {
      this.total.count(response);
      this.settle(response.sequence);
    }
  }

  private rewind(pause: number): void {
    this.rewinding = true;
    const wake = this.wake;
    const again = (): void => {
      if (this.wake !== wake) return; // another stream has begun
      if (this.outstanding > 0) return void setTimeout(again, pause);
      this.rewinding = false;
      this.next = 0;
      this.wake();
    };
    setTimeout(again, pause);
  }
}
