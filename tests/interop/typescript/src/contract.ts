// The service, loaded from proto/, with the types that proto-loader-gen-types makes of it.
import * as path from 'node:path';

import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

import type { ProtoGrpcType } from '../gen/log_streaming';
import type { LogStreamingServiceClient } from '../gen/ottoscaler/v1/LogStreamingService';

export type { LogEntry } from '../gen/ottoscaler/v1/LogEntry';
export type { LogResponse__Output } from '../gen/ottoscaler/v1/LogResponse';
export type { RegistrationResponse__Output } from '../gen/ottoscaler/v1/RegistrationResponse';
export type { LogStreamingServiceClient };

const PROTO = path.join(__dirname, '../../../../../proto');

export function connect(address: string): LogStreamingServiceClient {
  // The same options as those of the types: see package.json.
  const definition = loadSync('ottoscaler/v1/log_streaming.proto', {
    includeDirs: [PROTO],
    longs: Number,
    enums: String,
    defaults: true,
  });
  const { ottoscaler } = grpc.loadPackageDefinition(definition) as unknown as ProtoGrpcType;
  // Comes back soon where a server is started again: by default gRPC waits for up to two minutes.
  return new ottoscaler.v1.LogStreamingService(address, grpc.credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
}
