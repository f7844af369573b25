// A log server as it was before log-ingest: it knows RegisterWorker and StreamLogs in their first form,
// and answers each entry with a bare ACK.
//
//   server ADDRESS FILE
//
// What it gets goes to FILE, one JSON object a line.
import 'reflect-metadata';

import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import * as path from 'node:path';

import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod, GrpcStreamMethod, Transport } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Observable, concatMap, from } from 'rxjs';

const [ADDRESS, FILE] = process.argv.slice(2);
if (!ADDRESS || !FILE) throw new Error('usage: server ADDRESS FILE');

// The fields that the first form has, and no other.
interface LogEntry {
  workerId: string;
  taskId: string;
  timestamp: string;
  level: string;
  source: string;
  message: string;
  metadata: Record<string, string>;
}

interface WorkerRegistration {
  workerId: string;
}

@Controller()
class LogStreaming {
  private readonly file: WriteStream = createWriteStream(FILE, { flags: 'a' });
  private readonly known = new Set<string>();

  @GrpcMethod('LogStreamingService', 'RegisterWorker')
  register({ workerId }: WorkerRegistration): object {
    const status = this.known.has(workerId) ? 'ALREADY_REGISTERED' : 'SUCCESS';
    this.known.add(workerId);
    return { status, message: 'welcome', sessionId: `session-${workerId}` };
  }

  @GrpcStreamMethod('LogStreamingService', 'StreamLogs')
  stream(entries: Observable<LogEntry>): Observable<object> {
    return entries.pipe(concatMap((entry) => from(this.keep(entry))));
  }

  // A bare ACK, once the line is written.
  private keep({ workerId, source, message }: LogEntry): Promise<object> {
    return new Promise((resolve, reject) => {
      this.file.write(`${JSON.stringify({ workerId, source, message })}\n`, (error) =>
        error ? reject(error) : resolve({ status: 'ACK' }),
      );
    });
  }
}

@Module({ controllers: [LogStreaming] })
class Server {}

async function main(): Promise<void> {
  const server = await NestFactory.createMicroservice<MicroserviceOptions>(Server, {
    transport: Transport.GRPC,
    options: {
      package: 'ottoscaler.v1',
      protoPath: 'ottoscaler/v1/log_streaming.proto',
      url: ADDRESS,
      loader: { includeDirs: [path.join(__dirname, '../../../../../proto')], enums: String, defaults: true },
    },
  });
  await server.listen();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
