"""EmailNoticesQueue: the backups of which somebody may want to be told at once by e-mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backup_webhooks.events.messages import EventType, RecordedEvent, encode_message, without_output

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_TOLD = (EventType.FAILURE, EventType.MISSING)


@dataclass(frozen=True, slots=True)
class EmailNoticesQueue:
    """`url` is None where no e-mail is sent. Raises botocore's errors."""

    client: SQSClient
    url: str | None

    def pass_on(self, event: RecordedEvent) -> None:
        """Send a failed or a missed backup; who wants to be told is seen where the e-mail is made."""
        if self.url and event.event_type in _TOLD:
            self.client.send_message(QueueUrl=self.url, MessageBody=encode_message(without_output(event)))
