"""The heartbeats' watermark: one item of ServerPoliciesTable, under a key that no server policy has."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backup_webhooks.heartbeat import Seen, Watermark
from backup_webhooks.moments import iso_milliseconds
from backup_webhooks.stores.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A control character, which no id that comes in a message has.
_KEY = to_item({"serverPolicyId": "\x00heartbeat"})


@dataclass(frozen=True, slots=True)
class HeartbeatsStore:
    """Reads and writes the watermark; the notifier and missed_backups each have attributes of their own in it.

    Raises botocore's errors.
    """

    client: DynamoDBClient
    table: str

    def load(self) -> Watermark:
        """What is stored now (a consistent read)."""
        answer = self.client.get_item(TableName=self.table, Key=_KEY, ConsistentRead=True)
        item = from_item(answer.get("Item", {}))
        newest_read, ran_at, resumed_at = (
            datetime.fromisoformat(item[name]) if item.get(name) else None
            for name in ("newestRead", "ranAt", "resumedAt")
        )
        seen = tuple(
            Seen(datetime.fromisoformat(sent_at), datetime.fromisoformat(seen_at))
            for sent_at, seen_at in item.get("seen", [])
        )
        return Watermark(newest_read, seen, ran_at, resumed_at)

    def save_tick(self, watermark: Watermark) -> None:
        """Store what the tick knows; `newest_read` is the notifier's to write."""
        self.client.update_item(
            TableName=self.table,
            Key=_KEY,
            UpdateExpression="SET seen = :seen, ranAt = :ranAt, resumedAt = :resumedAt",
            ExpressionAttributeValues=to_item(
                {
                    ":seen": [
                        [iso_milliseconds(heartbeat.sent_at), iso_milliseconds(heartbeat.seen_at)]
                        for heartbeat in watermark.seen
                    ],
                    ":ranAt": watermark.ran_at and iso_milliseconds(watermark.ran_at),
                    ":resumedAt": watermark.resumed_at and iso_milliseconds(watermark.resumed_at),
                }
            ),
        )

    def record_read(self, sent_at: datetime) -> None:
        """A heartbeat has come out of the queue; does nothing where a newer one has."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=_KEY,
                ConditionExpression="attribute_not_exists(newestRead) OR newestRead < :sentAt",
                UpdateExpression="SET newestRead = :sentAt",
                ExpressionAttributeValues=to_item({":sentAt": iso_milliseconds(sent_at)}),
            )
