"""EmailNoticesQueue: backups in trouble, for the recipients who want an e-mail at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.events.messages import GRAVE, RecordedEvent, encode_message, without_output

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class EmailNoticesQueue:
    """Sends to the queue at `url`, or nothing if that is empty: no e-mail is set up. Raises botocore's errors."""

    client: SQSClient
    url: str

    def send(self, event: RecordedEvent) -> None:
        """Send trouble; ignore partial successes and other events. The queue's consumer chooses the recipients."""
        if self.url and event.event_type in GRAVE:
            self.client.send_message(QueueUrl=self.url, MessageBody=encode_message(without_output(event)))
