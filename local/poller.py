"""A queue's event source mapping as Lambda's poller runs it: batches, partial failures, and visibility."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import batched
from typing import Any

from local.stack import Stack
from local.template import QueueSource
from local.worker import FunctionError, Worker

_WAIT_SECONDS = 1
_MOST_AT_ONCE = 10
# The batching window is shorter than on AWS, so that the demo and the tests do not wait.
_LONGEST_WINDOW_SECONDS = 2.0


class Poller(threading.Thread):
    """A thread that receives batches and invokes one worker with them until it is stopped.

    `on_end` is called with each message's id, and whether the function has handled it.
    """

    def __init__(
        self,
        stack: Stack,
        queue_url: str,
        source: QueueSource,
        worker: Worker,
        on_end: Callable[[str, bool], None] = lambda message_id, handled: None,
    ) -> None:
        super().__init__(name="poller", daemon=True)
        self._sqs = stack.client("sqs")
        self._queue_url = queue_url
        self._source = source
        self._window_seconds = min(source.window.total_seconds(), _LONGEST_WINDOW_SECONDS)
        self._worker = worker
        self._on_end = on_end
        self._stopped = threading.Event()

    def run(self) -> None:
        """Poll until the thread is stopped. A batch that was received is finished first."""
        while not self._stopped.is_set():
            self.poll_once()

    def stop(self) -> None:
        """Let the thread end after the batch in hand: `join` waits for that."""
        self._stopped.set()

    def poll_once(self) -> None:
        """Receive a batch, and invoke the function unless it is empty.

        Messages that the function reports as failed stay in the queue, and so does the whole batch if it raises. They
        come again after the visibility timeout, and go to the dead-letter queue in the end.
        """
        messages = self._receive()
        end = time.monotonic() + self._window_seconds
        while messages and len(messages) < self._source.batch_size and time.monotonic() < end:
            messages += self._receive(self._source.batch_size - len(messages))
        if not messages:
            return
        try:
            response = self._worker.invoke({"Records": [sqs_record(message) for message in messages]})
            failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
        except FunctionError:
            failed = {message["MessageId"] for message in messages}
        done = [message for message in messages if message["MessageId"] not in failed]
        for ten in batched(done, _MOST_AT_ONCE, strict=False):
            self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                    for position, message in enumerate(ten)
                ],
            )
        for message in messages:
            self._on_end(message["MessageId"], message["MessageId"] not in failed)

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
    """Return a received message as Lambda passes it to a function."""
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
