"""BackupEventsQueue as our own functions write to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.messages import Message, encode_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class BackupEventsQueue:
    """Raises botocore's errors."""

    client: SQSClient
    url: str

    def send(self, message: Message) -> None:
        """Put the message behind those that wait."""
        self.client.send_message(QueueUrl=self.url, MessageBody=encode_message(message))
