"""BackupEventsQueue, for those who put messages on it one by one: sources of backups beside the backup service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.messages import Message, encode_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class BackupEventsQueue:
    """Sends messages, each a call. Raises botocore's errors: the message may then be there or not."""

    client: SQSClient
    url: str

    def send(self, message: Message) -> None:
        """Put it on the queue."""
        self.client.send_message(QueueUrl=self.url, MessageBody=encode_message(message))
