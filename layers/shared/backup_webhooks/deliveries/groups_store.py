"""Groups: events that wait to become one delivery, in a target's partition of DeliveriesTable (`target_partition`).

| delivery | attributes |
|---|---|
| `open` | `wakeUpAt`: when a message on RetryQueue is due; `made`: the number of groups made so far; `expiresAt`; |
| | of a group that was not sent yet `order`, its message, and `grouped`, the keys of its events |
| `waiting#{sort key in the log}` | `notice`: the message; `joinedAt`; `expiresAt` |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore, key_of
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, encode_retry_message, parse_retry_message
from backup_webhooks.deliveries.target_partition import key_in
from backup_webhooks.events.messages import Event, encode_message, parse_message, without_output
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.targets.target import Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OPEN, _WAITING = "open", "waiting#"
# More than one delivery of the usual kind holds.
_PAGE = 300
# A transaction has at most 100 writes, and an event needs two.
_MOST_AT_ONCE = 50


class WaitingEvent(Struct, frozen=True):
    """An event that waits for its group. `size`: of its message, in characters."""

    key: str
    event: Event
    size: int


class Group(Struct, frozen=True):
    """A delivery of the events under these keys, which is to be sent. `number`: counts the target's groups."""

    number: int
    due: AttemptDue
    keys: Sequence[str]


class OpenGroup(Struct, frozen=True):
    """The state of a target's groups.

    `due_at`: when the last message on RetryQueue is due; `made`: the number of groups; `group`: the one to be sent.
    """

    due_at: datetime | None = None
    made: int = 0
    group: Group | None = None


class GroupsStore(Struct, frozen=True):
    """Reads and writes groups. Raises botocore's errors. `partition`: of a target, by `target_partition`."""

    deliveries: DeliveriesStore

    def join(self, partition: str, delivery: Delivery, target: Target, event: Event, now: datetime) -> bool:
        """Let the event wait, and record that. Return False if its delivery was attempted or suppressed before."""
        waiting = {
            "accountDay": partition,
            "delivery": _WAITING + delivery.sort_key,
            "notice": encode_message(event if target.include_output else without_output(event)),
            "joinedAt": iso_milliseconds(now),
            "expiresAt": int((now + self.deliveries.retention).timestamp()),
        }
        return self.deliveries.group(delivery, target, now, waiting)

    def load(self, partition: str) -> OpenGroup:
        """Return the state now (a consistent read)."""
        key = key_in(partition, _OPEN)
        fields = from_item(self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {}))
        made, group = int(fields.get("made", 0)), None
        if "order" in fields:
            group = Group(made, cast("AttemptDue", parse_retry_message(fields["order"])), fields["grouped"])
        # None if the function that sent the first message was killed before it could record that.
        due_at = fields.get("wakeUpAt")
        return OpenGroup(due_at and Timestamp.parse(due_at), made, group)

    def save_due_at(self, partition: str, due_at: datetime) -> None:
        """Record that a message on RetryQueue is due then."""
        # Suppressed: another function's message is due later.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="SET wakeUpAt = :at, expiresAt = :expiresAt",
                ConditionExpression="attribute_not_exists(wakeUpAt) OR wakeUpAt < :at",
                ExpressionAttributeValues=to_item(
                    {
                        ":at": iso_milliseconds(due_at),
                        ":expiresAt": int((due_at + self.deliveries.retention).timestamp()),
                    }
                ),
            )

    def waiting(self, partition: str, before: datetime) -> Iterator[WaitingEvent]:
        """Yield the events that joined before that time, in the order of their own times (consistent reads)."""
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

    def make(self, partition: str, seen: OpenGroup, due: AttemptDue, keys: Sequence[str]) -> Group | None:
        """Make a group of the events under these keys. Return None if another function made one since `seen`."""
        group = Group(seen.made + 1, due, keys)
        unchanged = "made = :seen" if seen.made else "attribute_not_exists(made)"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="SET #order = :order, grouped = :keys, made = :made",
                # The second part holds if botocore repeats a write whose answer was lost.
                ConditionExpression=f"(attribute_not_exists(#order) AND {unchanged}) OR #order = :order",
                ExpressionAttributeNames={"#order": "order"},
                ExpressionAttributeValues=to_item(
                    {":order": encode_retry_message(due), ":keys": list(keys), ":made": group.number}
                    | ({":seen": seen.made} if seen.made else {})
                ),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return group

    def finish(self, partition: str, group: Group) -> None:
        """Delete the group that was sent and its events, and record in the log where these were sent."""
        for keys in batched(group.keys, _MOST_AT_ONCE, strict=False):
            writes = [write for key in keys for write in self._sent(partition, key, group.due.delivery)]
            if not self.deliveries.write_all(writes):
                # The log has forgotten one of them.
                for key in keys:
                    self._client.delete_item(TableName=self._table, Key=key_in(partition, key))
        # Suppressed: another function finished it, and may have made the next one.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=key_in(partition, _OPEN),
                UpdateExpression="REMOVE #order, grouped",
                ConditionExpression="made = :made",
                ExpressionAttributeNames={"#order": "order"},
                ExpressionAttributeValues=to_item({":made": group.number}),
            )

    def _sent(self, partition: str, key: str, delivery: Delivery) -> Iterator[dict[str, Any]]:
        yield {"Delete": {"TableName": self._table, "Key": key_in(partition, key)}}
        yield {
            "Update": {
                "TableName": self._table,
                "Key": to_item(key_of(delivery.account, key.removeprefix(_WAITING))),
                "UpdateExpression": "SET groupedIn = :key",
                "ConditionExpression": "attribute_exists(delivery)",
                "ExpressionAttributeValues": to_item({":key": delivery.sort_key}),
            }
        }

    @property
    def _client(self) -> DynamoDBClient:
        return self.deliveries.client

    @property
    def _table(self) -> str:
        return self.deliveries.table


def _waiting(item: dict[str, Any]) -> WaitingEvent:
    return WaitingEvent(item["delivery"], cast("Event", parse_message(item["notice"])), len(item["notice"]))
