// Sends the lines of the standard input as the log of one worker: send TASK
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';

import type { LogResponse__Output } from '../gen/ottoscaler/v1/LogResponse';
import { soon, streaming } from './services';

const task = process.argv[2];
const worker = `${task}-${randomUUID()}`;

// Not `readline`: that takes a carriage return, as of progress, for the end of a line as well.
async function* linesOf(input: NodeJS.ReadableStream): AsyncGenerator<string> {
  let rest = '';
  input.setEncoding('utf8');
  for await (const chunk of input) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
}

async function main(): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    streaming.registerWorker({ workerId: worker, taskId: task }, soon(), (error, answer) =>
      answer?.status === 'SUCCESS' ? resolve() : reject(error ?? new Error(answer?.message)),
    ),
  );

  const stream = streaming.streamLogs();
  let sent = 0;
  // One answer for each entry, in their order.
  const answers = (async () => {
    for await (const answer of stream as AsyncIterable<LogResponse__Output>) {
      if (answer.status !== 'ACK') throw new Error(`line ${answer.sequence}: ${answer.status} ${answer.message}`);
    }
  })();
  const lines = (async () => {
    for await (const message of linesOf(process.stdin)) {
      // False: HTTP/2 has no room for more until the server has read.
      if (!stream.write({ workerId: worker, message, sequence: ++sent })) await once(stream, 'drain');
    }
    stream.end();
  })();
  await Promise.all([lines, answers]);

  const complete = await new Promise<boolean>((resolve, reject) =>
    streaming.completeWorker({ workerId: worker, lastSequence: sent }, soon(), (error, answer) =>
      answer ? resolve(answer.complete) : reject(error),
    ),
  );
  console.error(`${sent} lines of ${worker} are durable, complete: ${complete}`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
