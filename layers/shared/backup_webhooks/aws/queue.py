"""Messages to SQS, as many in a call as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The most that SendMessageBatch takes: messages, and bytes of all their bodies.
MOST_IN_A_CALL, _MOST_BYTES = 10, 256 * 1024

logger = Logger(child=True)


def send_batches[M](
    sqs: SQSClient, queue_url: str, messages: Iterable[M], entry_of: Callable[[M], dict[str, Any]]
) -> Iterator[tuple[Sequence[M], Sequence[M]]]:
    """Yield, after each call, the messages that the queue took and those that it refused. Log each refusal.

    `entry_of`: the parameters of SendMessage for a message, without the queue. `messages` are drawn just before their
    call. Raise botocore's errors.
    """
    for batch in _batches((message, entry_of(message)) for message in messages):
        entries: Any = [entry | {"Id": str(position)} for position, (_, entry) in enumerate(batch)]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        for failure in answer.get("Failed", []):
            logger.warning("message refused by the queue", extra={"reason": failure["Code"]})
        yield (
            [batch[int(entry["Id"])][0] for entry in answer.get("Successful", [])],
            [batch[int(entry["Id"])][0] for entry in answer.get("Failed", [])],
        )


def _batches[M](entries: Iterable[tuple[M, dict[str, Any]]]) -> Iterator[Sequence[tuple[M, dict[str, Any]]]]:
    batch: list[tuple[M, dict[str, Any]]] = []
    size = 0
    for message, entry in entries:
        length = len(entry["MessageBody"].encode())
        if batch and size + length > _MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((message, entry))
        size += length
        if len(batch) == MOST_IN_A_CALL:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
