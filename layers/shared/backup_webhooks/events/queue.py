"""BackupEventsQueue, as its senders use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.queue import send_batches
from backup_webhooks.events.messages import Message, encode_message, parse_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class NotAllSent(Exception):
    """The queue did not take all messages; the others must be sent again."""


def body_of(message: Message) -> str:
    """Return the message as a queue record's body. Raise `InvalidMessage` if the notifier would refuse the message.

    The sender then reports the error at once, such as an alias that is too long.
    """
    body = encode_message(message)
    parse_message(body)
    return body


class BackupEventsQueue(Struct, frozen=True):
    """Sends messages to the queue at `url`. Raises botocore's errors."""

    sqs: SQSClient
    url: str

    def send(self, message: Message) -> None:
        """Send the message."""
        self.send_body(encode_message(message))

    def send_body(self, body: str) -> None:
        """Send a message that is stored as a queue record's body."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def send_all[M](self, messages: Iterable[tuple[M, str]]) -> Iterable[Sequence[M]]:
        """Send the body of each pair, ten at a time. Yield after each ten the values whose bodies the queue took.

        Raise `NotAllSent` after the last ten if the queue did not take some bodies.
        """
        refused = 0
        for taken, not_taken in send_batches(self.sqs, self.url, messages, lambda message: {"MessageBody": message[1]}):
            refused += len(not_taken)
            yield [value for value, _ in taken]
        if refused:
            raise NotAllSent(f"{refused} messages were not taken by the queue")
