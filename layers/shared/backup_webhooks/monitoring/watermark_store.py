"""The watermark: one item of ServerPoliciesTable, under a key that no server policy has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No account and no id in a message has a control character.
_KEY = to_item({"account": "\x00heartbeat", "serverPolicyId": "\x00heartbeat"})


class WatermarkStore(Struct, frozen=True):
    """Reads and writes the watermark. Raises botocore's errors.

    The notifier and missed_backups write different attributes of it.
    """

    client: DynamoDBClient
    table: str

    def load(self) -> Watermark:
        """Return what is stored now (a consistent read), or an empty watermark if nothing is."""
        answer = self.client.get_item(TableName=self.table, Key=_KEY, ConsistentRead=True)
        item = from_item(answer.get("Item", {}))
        return Watermark(
            read=frozenset(map(datetime.fromisoformat, item.get("readHeartbeats", ()))),
            seen=tuple(SeenHeartbeat(*map(datetime.fromisoformat, pair)) for pair in item.get("seen", ())),
            unread=tuple(map(datetime.fromisoformat, item.get("unread", ()))),
            ran_at=item.get("ranAt") and datetime.fromisoformat(item["ranAt"]),
            resumed_at=item.get("resumedAt") and datetime.fromisoformat(item["resumedAt"]),
        )

    def save_tick(self, watermark: Watermark, read: Collection[datetime] = ()) -> None:
        """Store the tick's watermark, and remove the heartbeats `read` from the notifier's set."""
        values = {
            ":seen": [[iso_milliseconds(seen.sent_at), iso_milliseconds(seen.seen_at)] for seen in watermark.seen],
            ":unread": [iso_milliseconds(sent_at) for sent_at in watermark.unread],
            ":ranAt": watermark.ran_at and iso_milliseconds(watermark.ran_at),
            ":resumedAt": watermark.resumed_at and iso_milliseconds(watermark.resumed_at),
        }
        update = "SET seen = :seen, unread = :unread, ranAt = :ranAt, resumedAt = :resumedAt"
        if read:
            update += " DELETE readHeartbeats :read"
            values[":read"] = {iso_milliseconds(sent_at) for sent_at in read}
        self.client.update_item(
            TableName=self.table,
            Key=_KEY,
            UpdateExpression=update,
            ExpressionAttributeValues=to_item(values),
        )

    def record_read(self, sent_at: datetime) -> None:
        """Add a heartbeat that the notifier has read, by the time at which it was sent."""
        self.client.update_item(
            TableName=self.table,
            Key=_KEY,
            UpdateExpression="ADD readHeartbeats :sentAt",
            ExpressionAttributeValues=to_item({":sentAt": {iso_milliseconds(sent_at)}}),
        )
