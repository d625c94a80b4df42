"""The deliveries that stand still: found by a scan of DeliveriesTable, which has no index for what is rarely there.

The item `sweep`, `position` has `key`, the place in the table where the scan goes on; none at its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore, DeliveryState
from backup_webhooks.deliveries.target_partition import key_in
from backup_webhooks.events.timestamps import epoch_milliseconds, iso_milliseconds

_POSITION = key_in("sweep", "position")
_STANDING = (
    "(#state = :claimed AND claimedUntil < :milliseconds) OR (#state = :retrying AND retryAt < :before) "
    "OR (#state = :grouped AND attribute_not_exists(groupedIn) AND expiresAt < :expiresAt)"
)


class StandingStore(Struct, frozen=True):
    """Finds deliveries that stand still. Raises botocore's errors."""

    deliveries: DeliveriesStore

    def position(self) -> Mapping[str, Any] | None:
        """Return the key behind which the scan goes on; None: at the table's beginning."""
        item = self.deliveries.client.get_item(TableName=self.deliveries.table, Key=_POSITION, ConsistentRead=True).get(
            "Item", {}
        )
        key: Mapping[str, Any] | None = from_item(item).get("key")
        return key

    def save(self, position: Mapping[str, Any] | None) -> None:
        """Let the scan go on there."""
        self.deliveries.client.put_item(TableName=self.deliveries.table, Item=_POSITION | to_item({"key": position}))

    def page(
        self, position: Mapping[str, Any] | None, before: datetime
    ) -> tuple[Sequence[dict[str, Any]], Mapping[str, Any] | None]:
        """Return the items of deliveries that have stood still since before that time, of one page of the table.

        Beside them is the position of the next page, or None at the table's end. The reads are eventually consistent.
        """
        values = {
            ":claimed": str(DeliveryState.CLAIMED),
            ":retrying": str(DeliveryState.RETRYING),
            ":grouped": str(DeliveryState.GROUPED),
            ":milliseconds": epoch_milliseconds(before),
            ":before": iso_milliseconds(before),
            # Of what was recorded then.
            ":expiresAt": int((before + self.deliveries.retention).timestamp()),
        }
        query: Any = {
            "TableName": self.deliveries.table,
            "FilterExpression": _STANDING,
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": to_item(values),
        }
        if position:
            query["ExclusiveStartKey"] = to_item(position)
        answer = self.deliveries.client.scan(**query)
        end = answer.get("LastEvaluatedKey")
        return list(map(from_item, answer["Items"])), from_item(end) if end else None
