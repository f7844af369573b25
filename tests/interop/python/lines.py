"""The lines of the standard input, and the entries that they become."""

import asyncio
import sys
from datetime import datetime, timezone

from ottoscaler.v1.log_streaming_pb2 import LogEntry

TASK = "interop"


class Lines:
    """Reads in a thread of its own, so that answers are taken meanwhile."""

    async def next(self):
        """The next line without its newline; None at the end."""
        line = await asyncio.to_thread(sys.stdin.buffer.readline)
        return line.removesuffix(b"\n").decode() if line else None


def entry(worker, line, sequence=0):
    return LogEntry(
        worker_id=worker,
        task_id=TASK,
        timestamp=datetime.now(timezone.utc).isoformat(),
        level="info",
        source="stdout",
        message=line,
        sequence=sequence,
    )
