"""RetryQueue and its dead letters: attempts that are to be made later, or elsewhere than in the notifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backup_webhooks.delivery import Redelivery, encode_redelivery

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The longest that SQS holds a message back; what is due later goes round again.
LONGEST_DELAY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class RedeliveryQueue:
    """Sends redeliveries. Raises botocore's errors."""

    client: SQSClient
    url: str

    def send(self, redelivery: Redelivery, now: datetime) -> None:
        """Send it, to be received when it is due, or in 15 minutes if that is sooner."""
        due_at: datetime = redelivery.due_at
        delay = min(max(due_at - now, timedelta(0)), LONGEST_DELAY)
        self.client.send_message(
            QueueUrl=self.url,
            MessageBody=encode_redelivery(redelivery),
            DelaySeconds=math.ceil(delay.total_seconds()),
            # Fair queues: a target with a backlog doesn't make the others wait.
            MessageGroupId=redelivery.delivery.target_id,
        )
