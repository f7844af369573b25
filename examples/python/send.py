"""Sends the lines of the standard input as the log of one worker: send.py TASK"""

import os
import sys
import uuid

import grpc

from ottoscaler.v1.log_streaming_pb2 import LogEntry, LogResponse, WorkerCompletion, WorkerRegistration
from ottoscaler.v1.log_streaming_pb2_grpc import LogStreamingServiceStub

task = sys.argv[1]
worker = f"{task}-{uuid.uuid4()}"

with grpc.insecure_channel(os.environ.get("OTTO_INGEST", "127.0.0.1:50051")) as channel:
    service = LogStreamingServiceStub(channel)
    registered = service.RegisterWorker(WorkerRegistration(worker_id=worker, task_id=task), timeout=10)
    if registered.status:
        sys.exit(registered.message)

    sent = 0

    def entries():
        """gRPC takes from here as fast as the server reads."""
        global sent
        # Bytes: text would end lines at a lone carriage return as well, and need not be UTF-8.
        for line in sys.stdin.buffer:
            sent += 1
            line = line.removesuffix(b"\n")
            try:
                yield LogEntry(worker_id=worker, message=line.decode(), sequence=sent)
            except UnicodeDecodeError:
                yield LogEntry(worker_id=worker, message=line.decode(errors="replace"), raw=line, sequence=sent)

    # One answer for each entry, in their order.
    for answer in service.StreamLogs(entries()):
        if answer.status != LogResponse.ACK:
            sys.exit(f"line {answer.sequence}: {LogResponse.Status.Name(answer.status)} {answer.message}")

    end = service.CompleteWorker(WorkerCompletion(worker_id=worker, last_sequence=sent), timeout=10)
    print(f"{sent} lines of {worker} are durable, complete: {end.complete}", file=sys.stderr)
