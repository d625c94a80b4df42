"""RetryQueue and its dead letters: what is to be done later, or elsewhere than in the notifier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.deliveries.delivery import AttemptDue, RetryMessage, encode_retry_message, parse_retry_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# The longest that SQS holds a message back; what is due later goes round again.
LONGEST_DELAY = timedelta(minutes=15)
_SQS_BATCH = 10

logger = Logger(child=True)


class RetryQueue(Struct, frozen=True):
    """Sends messages. Raises botocore's errors."""

    client: SQSClient
    url: str

    def send(self, message: RetryMessage, now: datetime) -> None:
        """Send it, to be received when it is due, or in 15 minutes if that is sooner."""
        self.client.send_message(QueueUrl=self.url, **_entry(message, now))

    def send_all(self, messages: Iterable[RetryMessage], now: datetime) -> int:
        """Send each as `send` does, ten a call; how many they were. After an error it may be done anew."""
        sent = 0
        for ten in batched(messages, _SQS_BATCH, strict=False):
            entries: Any = [_entry(one, now) | {"Id": str(position)} for position, one in enumerate(ten)]
            answer = self.client.send_message_batch(QueueUrl=self.url, Entries=entries)
            # By itself, one that the queue did not take tells why.
            for failure in answer.get("Failed", []):
                self.send(ten[int(failure["Id"])], now)
            sent += len(ten)
        return sent

    def move_all_to(self, other: RetryQueue, now: datetime) -> int:
        """Send all that stands here to the other queue; how many they were. What can't be used stays, and is logged."""
        moved = 0
        while messages := self._receive():
            for message in messages:
                try:
                    parsed = parse_retry_message(message["Body"])
                except InvalidMessage as error:
                    logger.warning(
                        "message rejected",
                        extra={"message_id": message["MessageId"], "field": error.field, "reason": error.reason},
                    )
                    continue
                other.send(parsed, now)
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
        return moved

    def _receive(self) -> Sequence[MessageTypeDef]:
        # Long polling: a short poll asks some of SQS's servers only, and may find nothing where there is something.
        answer = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=_SQS_BATCH, WaitTimeSeconds=1)
        return answer.get("Messages", [])


def _entry(message: RetryMessage, now: datetime) -> dict[str, Any]:
    """The parameters that one message and an entry of a batch have in common."""
    due_at: datetime = message.due_at
    delay = min(max(due_at - now, timedelta(0)), LONGEST_DELAY)
    return {
        "MessageBody": encode_retry_message(message),
        "DelaySeconds": math.ceil(delay.total_seconds()),
        # Fair queues: a target with a backlog doesn't make the others wait.
        "MessageGroupId": (message.delivery if isinstance(message, AttemptDue) else message).target_id,
    }
