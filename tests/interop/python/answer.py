"""What the server's answers say."""

from collections import Counter

from ottoscaler.v1.log_streaming_pb2 import LogResponse

DROP = LogResponse.DROP
RETRY = LogResponse.RETRY


class Summary:
    """What the answers were."""

    def __init__(self):
        self.acked = 0
        self.dropped = Counter()
        self.retried = Counter()
        self.resumed = 0

    def count(self, response):
        """Counts an answer that is final."""
        if response.status == DROP:
            self.dropped[parts(response.message).get("reason", "")] += 1
        else:
            self.acked += 1

    def retry(self, response):
        """Counts an answer that asks for another try; gives the seconds after which it is welcome."""
        said = parts(response.message)
        self.retried[said.get("reason", "")] += 1
        return int(said.get("retry_after_ms", 1000)) / 1000


def parts(message):
    """The parts of a message such as reason=queue_full;retry_after_ms=50."""
    return dict(part.split("=", 1) for part in message.split(";") if "=" in part)
