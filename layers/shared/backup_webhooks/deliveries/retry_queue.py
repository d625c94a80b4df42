"""RetryQueue and its dead-letter queue: attempts, groups and reminders that are due later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.aws.queue import send_batches
from backup_webhooks.deliveries.delivery import AttemptDue, RetryMessage, encode_retry_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The longest that SQS delays a message. A message that is due later goes round again.
LONGEST_DELAY = timedelta(minutes=15)


class RetryQueue(Struct, frozen=True):
    """Sends messages. Raises botocore's errors."""

    client: SQSClient
    url: str

    def send(self, message: RetryMessage, now: datetime) -> None:
        """Send the message, to be received when it is due, or in 15 minutes if that is sooner."""
        self.client.send_message(QueueUrl=self.url, **_entry(message, now))

    def send_on(self, message: RetryMessage, receipt_handle: str, now: datetime) -> None:
        """Send a message that came too early, as `send` does, and delete the one that came.

        It is deleted at once, as a function that is killed later in its batch would leave two: each time twice as many.
        """
        self.send(message, now)
        # Suppressed: Lambda deletes it at the end of the batch.
        with suppress(BotoCoreError, ClientError):
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=receipt_handle)

    def send_all[M: RetryMessage](self, messages: Iterable[M], now: datetime) -> Iterator[Sequence[M]]:
        """Send each message as `send` does, up to ten a call. Yield those that the queue has after each call."""
        for taken, refused in send_batches(self.client, self.url, messages, lambda message: _entry(message, now)):
            # Sent by itself, a message that the queue refuses raises an error that says why.
            for message in refused:
                self.send(message, now)
            yield [*taken, *refused]


def _entry(message: RetryMessage, now: datetime) -> dict[str, Any]:
    """Return the parameters that SendMessage and an entry of SendMessageBatch have in common."""
    due_at: datetime = message.due_at
    delay = min(max(due_at - now, timedelta(0)), LONGEST_DELAY)
    return {
        "MessageBody": encode_retry_message(message),
        "DelaySeconds": math.ceil(delay.total_seconds()),
        # Fair queues: a target with a backlog does not make the others wait.
        "MessageGroupId": (message.delivery if isinstance(message, AttemptDue) else message).target_id,
    }
