"""BackupEventsQueue, from the side of those who send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.events.messages import Message, encode_message, parse_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The most that SQS takes in one call; our messages are a few KB each, far below its bytes.
_SQS_BATCH = 10

logger = Logger(child=True)


class NotAllSent(Exception):
    """The queue did not take all messages: what was not taken is to be sent again."""


def body_of(message: Message) -> str:
    """The message as it goes on the queue; `InvalidMessage` for what the notifier would refuse: an alias that is too
    long, say, is better found out here.
    """
    body = encode_message(message)
    parse_message(body)
    return body


class BackupEventsQueue(Struct, frozen=True):
    """Sends messages. Raises botocore's errors."""

    sqs: SQSClient
    url: str

    def send(self, message: Message) -> None:
        """Put the message behind those that wait."""
        self.send_body(encode_message(message))

    def send_body(self, body: str) -> None:
        """The same of a message that was kept as it goes on the queue."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def send_all[M](self, messages: Iterable[tuple[M, str]]) -> Iterable[Sequence[M]]:
        """Send the bodies, ten at a time; after each ten, of what the queue has taken the bodies.

        `NotAllSent` once all were tried, if some were not taken.
        """
        refused = 0
        for ten in batched(messages, _SQS_BATCH, strict=False):
            answer = self.sqs.send_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(position), "MessageBody": body} for position, (_, body) in enumerate(ten)],
            )
            for failure in answer.get("Failed", []):
                logger.warning("a message could not be sent", extra={"reason": failure["Code"]})
                refused += 1
            yield [ten[int(entry["Id"])][0] for entry in answer.get("Successful", [])]
        if refused:
            raise NotAllSent(f"{refused} messages were not taken by the queue")
