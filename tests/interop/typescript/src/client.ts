// Ships the lines of its standard input to a log-ingest, by the fixed part of the contract:
//
//   client ADDRESS lock-step|pipelined WORKER
//
// When all lines are answered it prints what the answers were, as JSON.
import { setTimeout as sleep } from 'node:timers/promises';

import { Summary } from './answer';
import { connect } from './contract';
import type { LogResponse__Output } from './contract';
import { entry, lines } from './lines';
import { Pipeline } from './pipeline';
import type { LogStreamingServiceClient } from './contract';

// One entry, one answer. It never registers and numbers nothing.
async function lockStep(client: LogStreamingServiceClient, worker: string, total: Summary): Promise<void> {
  const stream = client.streamLogs();
  const answers = stream[Symbol.asyncIterator]() as AsyncIterator<LogResponse__Output>;
  for await (const line of lines()) {
    for (;;) {
      stream.write(entry(worker, line));
      const answer = await answers.next();
      if (answer.done) throw new Error('the server has ended the stream');
      if (answer.value.status !== 'RETRY') {
        total.count(answer.value);
        break;
      }
      await sleep(total.retry(answer.value));
    }
  }
  stream.end();
  if (!(await answers.next()).done) throw new Error('an answer to nothing');
}

async function main(): Promise<void> {
  const [address, mode, worker] = process.argv.slice(2);
  if (!address || !mode || !worker) throw new Error('usage: client ADDRESS lock-step|pipelined WORKER');
  const client = connect(address);
  const total = new Summary();
  if (mode === 'lock-step') await lockStep(client, worker, total);
  else if (mode === 'pipelined') await new Pipeline(client, worker, total).run();
  else throw new Error(`unknown mode ${mode}`);
  client.close();
  console.log(JSON.stringify(total));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
