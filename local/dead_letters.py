"""Moving the messages of a dead-letter queue back to RetryQueue, as AWS's own redrive does in the cloud."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.deliveries.delivery import parse_retry_message
from backup_webhooks.deliveries.retry_queue import RetryQueue

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = Logger(child=True)


def move_all(dead_letter_queue: RetryQueue, retry_queue: RetryQueue, now: datetime) -> int:
    """Send all messages to the other queue. Return their number. A message that cannot be used stays, and is logged."""
    moved = 0
    while messages := _receive(dead_letter_queue):
        for message in messages:
            try:
                parsed = parse_retry_message(message["Body"])
            except InvalidMessage as error:
                logger.warning(
                    "message rejected",
                    extra={"message_id": message["MessageId"], "field": error.field, "reason": error.reason},
                )
                continue
            retry_queue.send(parsed, now)
            dead_letter_queue.client.delete_message(
                QueueUrl=dead_letter_queue.url, ReceiptHandle=message["ReceiptHandle"]
            )
            moved += 1
    return moved


def _receive(queue: RetryQueue) -> list[MessageTypeDef]:
    # Long polling: a short poll asks some of SQS's servers only, and may miss a message that is there.
    answer = queue.client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    return answer.get("Messages", [])
