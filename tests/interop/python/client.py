"""Ships the lines of its standard input to a log-ingest, by the fixed part of the contract:

    client.py ADDRESS lock-step|pipelined WORKER

When all lines are answered it prints what the answers were, as JSON.
"""

import asyncio
import json
import sys

import grpc

from answer import RETRY, Summary
from lines import Lines, entry
from ottoscaler.v1.log_streaming_pb2_grpc import LogStreamingServiceStub
from pipeline import Pipeline

# Comes back soon where a server is started again: by default gRPC waits for up to two minutes.
OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


async def lock_step(stub, worker, total):
    """One entry, one answer. It never registers and numbers nothing."""
    stream = stub.StreamLogs()
    lines = Lines()
    while (line := await lines.next()) is not None:
        while True:
            await stream.write(entry(worker, line))
            response = await stream.read()
            if response is grpc.aio.EOF:
                raise EOFError("the server has ended the stream")
            if response.status != RETRY:
                total.count(response)
                break
            await asyncio.sleep(total.retry(response))
    await stream.done_writing()
    if await stream.read() is not grpc.aio.EOF:
        raise ValueError("an answer to nothing")


async def main():
    if len(sys.argv) != 4:
        sys.exit("usage: client.py ADDRESS lock-step|pipelined WORKER")
    address, mode, worker = sys.argv[1:]
    total = Summary()
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stub = LogStreamingServiceStub(channel)
        if mode == "lock-step":
            await lock_step(stub, worker, total)
        elif mode == "pipelined":
            await Pipeline(stub, worker, total).run()
        else:
            sys.exit(f"unknown mode {mode}")
    print(json.dumps(vars(total)))


asyncio.run(main())
