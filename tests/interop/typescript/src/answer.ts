// What the server's answers say.
import type { LogResponse__Output } from './contract';

// What the answers were.
export class Summary {
  acked = 0;
  dropped: Record<string, number> = {};
  retried: Record<string, number> = {};
  resumed = 0;

  // Counts an answer that is final.
  count(response: LogResponse__Output): void {
    if (response.status === 'DROP') {
      const reason = part(response.message, 'reason') ?? '';
      this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
    } else {
      this.acked += 1;
    }
  }

  // Counts an answer that asks for another try; gives the milliseconds after which it is welcome.
  retry(response: LogResponse__Output): number {
    const reason = part(response.message, 'reason') ?? '';
    this.retried[reason] = (this.retried[reason] ?? 0) + 1;
    return Number(part(response.message, 'retry_after_ms') ?? 1000);
  }
}

// One part of a message such as reason=queue_full;retry_after_ms=50.
function part(message: string, name: string): string | undefined {
  const found = message.split(';').find((field) => field.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}
