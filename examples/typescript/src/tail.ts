// Follows the log of a task until its workers have ended: tail TASK
import type { TailResponse__Output } from '../gen/ottoscaler/v1/TailResponse';
import { query } from './services';

async function main(): Promise<void> {
  const pieces = query.tailLogs({ taskId: process.argv[2], follow: true });
  for await (const { entries, end } of pieces as AsyncIterable<TailResponse__Output>) {
    for (const { gap, message, sequence } of entries) {
      console.log(gap ? `[lines ${sequence} to ${gap.lastSequence} are missing: ${gap.reason}]` : message);
    }
    if (end) console.error(`${end.workerId} ended with ${end.exitCode}`);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
