"""Follows the log of a task until its workers have ended: tail.py TASK"""

import os
import sys

import grpc

from ottoscaler.v1.log_query_pb2 import TailRequest
from ottoscaler.v1.log_query_pb2_grpc import LogQueryServiceStub

with grpc.insecure_channel(os.environ.get("OTTO_INGEST", "127.0.0.1:50051")) as channel:
    for piece in LogQueryServiceStub(channel).TailLogs(TailRequest(task_id=sys.argv[1], follow=True)):
        for entry in piece.entries:
            if entry.HasField("gap"):
                print(f"[lines {entry.sequence} to {entry.gap.last_sequence} are missing: {entry.gap.reason}]")
            else:
                print(entry.message, flush=True)
        if piece.HasField("end"):
            print(f"{piece.end.worker_id} ended with {piece.end.exit_code}", file=sys.stderr)
