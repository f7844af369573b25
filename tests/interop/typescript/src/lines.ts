// The lines of the standard input, and the entries that they become.
import type { LogEntry } from './contract';

export const TASK = 'interop';

// Newlines only: what readline takes for the end of a line, a carriage return for one, is none in a log.
export async function* lines(): AsyncGenerator<string, void> {
  let rest = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const pieces = (rest + String(chunk)).split('\n');
    rest = pieces.pop() ?? '';
    yield* pieces;
  }
  if (rest !== '') yield rest;
}

export function entry(worker: string, line: string, sequence = 0): LogEntry {
  return {
    workerId: worker,
    taskId: TASK,
    timestamp: new Date().toISOString(),
    level: 'info',
    source: 'stdout',
    message: line,
    sequence,
  };
}
