// The services, loaded from proto/, with the types that `npm run generate` has made.
import * as path from 'node:path';

import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

import type { ProtoGrpcType as Query } from '../gen/log_query';
import type { ProtoGrpcType as Streaming } from '../gen/log_streaming';

const files = ['ottoscaler/v1/log_streaming.proto', 'ottoscaler/v1/log_query.proto'];
const options = { includeDirs: [path.join(__dirname, '../../../../proto')], longs: Number, enums: String, defaults: true };
const { v1 } = (grpc.loadPackageDefinition(loadSync(files, options)) as unknown as Query & Streaming).ottoscaler;
const address = process.env.OTTO_INGEST ?? '127.0.0.1:50051';

export const streaming = new v1.LogStreamingService(address, grpc.credentials.createInsecure());
export const query = new v1.LogQueryService(address, grpc.credentials.createInsecure());

// A time limit for a call that is no stream.
export const soon = () => ({ deadline: Date.now() + 10_000 });
