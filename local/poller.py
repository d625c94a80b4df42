"""A queue's event source mapping, as Lambda's poller runs it: batches, partial failures, visibility, dead letters."""

from __future__ import annotations

import threading
import time
from itertools import batched
from typing import Any

from local.stack import Stack
from local.template import QueueSource
from local.worker import FunctionError, Worker

_WAIT_SECONDS = 1
_MOST_AT_ONCE = 10
# Nobody waits here for more to come, as long as one would on AWS.
_LONGEST_WINDOW_SECONDS = 2.0


class Poller(threading.Thread):
    """Receives batches and runs them through one worker, until it is stopped."""

    def __init__(self, stack: Stack, queue_url: str, source: QueueSource, worker: Worker) -> None:
        super().__init__(name="poller", daemon=True)
        self._sqs = stack.client("sqs")
        self._queue_url = queue_url
        self._source = source
        self._window_seconds = min(source.window.total_seconds(), _LONGEST_WINDOW_SECONDS)
        self._worker = worker
        self._stopped = threading.Event()

    def run(self) -> None:
        """Poll; a batch that was received is finished before the end."""
        while not self._stopped.is_set():
            self.poll_once()

    def stop(self) -> None:
        """End after the batch in hand, and wait for that."""
        self._stopped.set()
        self.join()

    def poll_once(self) -> None:
        """Receive a batch, and invoke the function if something came.

        What the function reports as failed, or the whole batch where it raises, stays and comes again after the
        queue's visibility timeout, at last in the dead letters.
        """
        messages = self._receive()
        end = time.monotonic() + self._window_seconds
        while messages and len(messages) < self._source.batch_size and time.monotonic() < end:
            messages += self._receive(self._source.batch_size - len(messages))
        if not messages:
            return
        try:
            response = self._worker.invoke({"Records": [sqs_record(message) for message in messages]})
        except FunctionError:
            return
        failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
        done = [message for message in messages if message["MessageId"] not in failed]
        for ten in batched(done, _MOST_AT_ONCE, strict=False):
            self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                    for position, message in enumerate(ten)
                ],
            )

    def _receive(self, most: int = _MOST_AT_ONCE) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=min(most, self._source.batch_size, _MOST_AT_ONCE),
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        return messages


def sqs_record(message: dict[str, Any]) -> dict[str, Any]:
    """A received message in the form in which Lambda hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:BackupEventsQueue",
        "awsRegion": "us-east-1",
    }
