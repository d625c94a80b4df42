"""Messages to SQS, ten a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The most that SendMessageBatch takes. The service's messages are a few KB each, far below its limit of bytes.
MOST_IN_A_CALL = 10

logger = Logger(child=True)


def send_batches[M](
    sqs: SQSClient, queue_url: str, messages: Iterable[M], entry_of: Callable[[M], dict[str, Any]]
) -> Iterator[tuple[Sequence[M], Sequence[M]]]:
    """Yield, after each call, the messages that the queue took and those that it refused. Log each refusal.

    `entry_of`: the parameters of SendMessage for a message, without the queue. `messages` are drawn ten at a time, just
    before their call. Raise botocore's errors.
    """
    for ten in batched(messages, MOST_IN_A_CALL, strict=False):
        entries: Any = [entry_of(message) | {"Id": str(position)} for position, message in enumerate(ten)]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        for failure in answer.get("Failed", []):
            logger.warning("message refused by the queue", extra={"reason": failure["Code"]})
        yield (
            [ten[int(entry["Id"])] for entry in answer.get("Successful", [])],
            [ten[int(entry["Id"])] for entry in answer.get("Failed", [])],
        )
