"""What waits to become one delivery, in a target's partition of DeliveriesTable (`target_partition`).

| delivery | attributes |
|---|---|
| `open` | `wakeUpAt`: when a message on RetryQueue is due; `made`: how many deliveries were made; `expiresAt`; |
| | of one that was not sent yet `order`, its message, and `grouped`, the keys of what it holds |
| `waiting#{sort key in the log}` | `notice`: the message; `joinedAt`; `expiresAt` |
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, encode_retry_message, parse_retry_message
from backup_webhooks.deliveries.target_partition import key_in
from backup_webhooks.events.messages import Event, encode_message, parse_message, without_output
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.targets.target import Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OPEN, _WAITING = "open", "waiting#"
# The most that BatchWriteItem takes.
_BATCH = 25
_PAUSE_SECONDS = 0.1
# More than one delivery holds of the usual kind.
_PAGE = 300


class WaitingEvent(Struct, frozen=True):
    """A notice that waits. `size`: of its message, in characters."""

    key: str
    event: Event
    size: int


class Group(Struct, frozen=True):
    """A delivery that was made of what waited under these keys, and is to be sent. `number`: among the target's."""

    number: int
    order: AttemptDue
    keys: Sequence[str]


class OpenGroup(Struct, frozen=True):
    """How things stand with a target: until when a message will come, how many deliveries were made, and which of them
    is still to be sent.
    """

    wake_up_at: datetime | None = None
    made: int = 0
    grouped: Group | None = None


class GroupsStore(Struct, frozen=True):
    """Keeps what waits. Raises botocore's errors. `partition`: of a target, by `target_partition`."""

    deliveries: DeliveriesStore

    def join(self, partition: str, delivery: Delivery, target: Target, event: Event, now: datetime) -> bool:
        """Let the notice wait, and say so in the log; False where its delivery was judged before, in another way."""
        waiting = {
            "accountDay": partition,
            "delivery": _WAITING + delivery.sort_key,
            "notice": encode_message(event if target.include_output else without_output(event)),
            "joinedAt": iso_milliseconds(now),
            "expiresAt": int((now + self.deliveries.retention).timestamp()),
        }
        return self.deliveries.gather(delivery, target, now, waiting)

    def load(self, partition: str) -> OpenGroup:
        """How things stand now (a consistent read)."""
        key = key_in(partition, _OPEN)
        fields = from_item(self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {}))
        made, grouped = int(fields.get("made", 0)), None
        if "order" in fields:
            grouped = Group(made, cast("AttemptDue", parse_retry_message(fields["order"])), fields["gathered"])
        # There is none yet where whoever sent the first message was stopped before it could say so.
        wake_up_at = fields.get("wakeUpAt")
        return OpenGroup(wake_up_at and Timestamp.parse(wake_up_at), made, grouped)

    def save_wake_up(self, partition: str, at: datetime) -> None:
        """A message will come then."""
        # Suppressed: somebody else has one that comes later.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="SET wakeUpAt = :at, expiresAt = :expiresAt",
                ConditionExpression="attribute_not_exists(wakeUpAt) OR wakeUpAt < :at",
                ExpressionAttributeValues=to_item(
                    {
                        ":at": iso_milliseconds(at),
                        ":expiresAt": int((at + self.deliveries.retention).timestamp()),
                    }
                ),
            )

    def waiting(self, partition: str, before: datetime) -> Iterator[WaitingEvent]:
        """What waits and has joined before that moment, by the times of its events (consistent reads)."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="accountDay = :partition AND begins_with(delivery, :waiting)",
            FilterExpression="joinedAt < :before",
            ExpressionAttributeValues=to_item(
                {":partition": partition, ":waiting": _WAITING, ":before": iso_milliseconds(before)}
            ),
            ConsistentRead=True,
            PaginationConfig={"PageSize": _PAGE},
        )
        for page in pages:
            yield from (_waiting(from_item(item)) for item in page["Items"])

    def make(self, partition: str, seen: OpenGroup, order: AttemptDue, keys: Sequence[str]) -> Group | None:
        """Make that delivery of what waits under these keys; None where somebody has made one since it was `seen`."""
        grouped = Group(seen.made + 1, order, keys)
        # The latter: an answer that was lost made botocore write twice.
        unchanged = "made = :seen" if seen.made else "attribute_not_exists(made)"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="SET #order = :order, gathered = :keys, made = :made",
                ConditionExpression=f"(attribute_not_exists(#order) AND {unchanged}) OR #order = :order",
                ExpressionAttributeNames={"#order": "order"},
                ExpressionAttributeValues=to_item(
                    {":order": encode_retry_message(order), ":keys": list(keys), ":made": grouped.number}
                    | ({":seen": seen.made} if seen.made else {})
                ),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return grouped

    def finish(self, partition: str, grouped: Group) -> None:
        """The delivery was sent: forget it, and what it holds."""
        for keys in batched(grouped.keys, _BATCH, strict=False):
            request: Any = {self._table: [{"DeleteRequest": {"Key": key_in(partition, key)}} for key in keys]}
            while request:
                request = self._client.batch_write_item(RequestItems=request).get("UnprocessedItems")
                if request:
                    time.sleep(_PAUSE_SECONDS)
        # Suppressed: somebody else has finished it, and perhaps made another.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="REMOVE #order, gathered",
                ConditionExpression="made = :made",
                ExpressionAttributeNames={"#order": "order"},
                ExpressionAttributeValues=to_item({":made": grouped.number}),
            )

    @property
    def _client(self) -> DynamoDBClient:
        return self.deliveries.client

    @property
    def _table(self) -> str:
        return self.deliveries.table


def _waiting(item: dict[str, Any]) -> WaitingEvent:
    return WaitingEvent(item["delivery"], cast("Event", parse_message(item["notice"])), len(item["notice"]))
