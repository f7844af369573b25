"""Sends numbered entries without waiting for each answer, and goes on where it was after a cut."""

import asyncio
import os
import random
import sys
from collections import deque

import grpc

from answer import RETRY
from lines import TASK, Lines, entry
from ottoscaler.v1.log_streaming_pb2 import RegistrationResponse, WorkerRegistration

# Lines that wait for their answer at the most. Beyond it the producer of the lines waits.
WINDOW = 256


class Pipeline:
    def __init__(self, stub, worker, total):
        self.stub = stub
        self.worker = worker
        self.incarnation = os.urandom(16)
        self.total = total
        self.lines = Lines()
        self.ended = False  # no more lines will come
        self.last = 0
        # A line that is being read. It outlives a stream.
        self.reading = None
        # Without an answer, in order. Those before next are on their way.
        self.unacked = deque()
        self.next = 0
        # Answers that are to come.
        self.outstanding = 0
        # After a RETRY nothing is sent until the whole flight is answered and this has passed.
        self.rewinding = False
        self.pause = 0.0

    async def run(self):
        await self.register()
        while not await self.stream():
            await self.register()
            self.total.resumed += 1

    async def register(self):
        """Registers, for as long as it takes, and takes up where the server is."""
        request = WorkerRegistration(worker_id=self.worker, task_id=TASK, incarnation=self.incarnation)
        wait = 0.1
        while True:
            try:
                answer = await self.stub.RegisterWorker(request, timeout=5)
                break
            except grpc.aio.AioRpcError as error:
                print(f"cannot register: {error.details()}", file=sys.stderr)
                # Some chance in it, so that not all clients come back in the same moment.
                await asyncio.sleep(wait * random.uniform(0.5, 1))
                wait = min(2 * wait, 2)
        if answer.status not in (RegistrationResponse.SUCCESS, RegistrationResponse.ALREADY_REGISTERED):
            sys.exit(f"not registered: {answer.message}")
        if self.unacked and answer.last_sequence + 1 < self.unacked[0].sequence:
            sys.exit(f"the server has forgotten acknowledged lines after {answer.last_sequence}")
        # Durable, though their answers were lost.
        self.total.acked += self.settle(answer.last_sequence)
        self.next, self.outstanding, self.rewinding = 0, 0, False

    def settle(self, sequence):
        """Lets go of everything up to a sequence."""
        settled = 0
        while self.unacked and self.unacked[0].sequence <= sequence:
            self.unacked.popleft()
            settled += 1
        self.next = max(0, self.next - settled)
        return settled

    async def stream(self):
        """Sends and takes answers until all is settled; False where the stream ended before."""
        stream = self.stub.StreamLogs()
        answer = None
        try:
            while not self.ended or self.unacked:
                while not self.rewinding and self.next < len(self.unacked):
                    await stream.write(self.unacked[self.next])
                    self.next += 1
                    self.outstanding += 1
                answer = answer or asyncio.ensure_future(stream.read())
                await self.step(answer)
                if answer.done():
                    if answer.result() is grpc.aio.EOF:
                        return False
                    self.answered(answer.result())
                    answer = None
            await stream.done_writing()
            await (answer or stream.read())
            return True
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            print(f"the stream ended: {error}", file=sys.stderr)
            return False
        finally:
            stream.cancel()

    async def step(self, answer):
        """Waits for a line, an answer, or the end of a pause."""
        if self.rewinding and self.outstanding == 0:
            await asyncio.sleep(self.pause)
            self.rewinding, self.next = False, 0
            return
        awaited = {answer}
        if not self.ended and not self.rewinding and len(self.unacked) < WINDOW:
            self.reading = self.reading or asyncio.ensure_future(self.lines.next())
            awaited.add(self.reading)
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if self.reading in awaited and self.reading.done():
            self.take(self.reading.result())
            self.reading = None

    def take(self, line):
        if line is None:
            self.ended = True
            return
        self.last += 1
        self.unacked.append(entry(self.worker, line, self.last))

    def answered(self, response):
        self.outstanding -= 1
        if response.status != RETRY:
            self.total.count(response)
            self.settle(response.sequence)
            return
        # Once for each flight: what is behind the first gets the same answer, and is sent again with it.
        pause = self.total.retry(response)
        if not self.rewinding:
            self.rewinding, self.pause = True, pause
