"""What targets are to be reminded of, in their partitions of DeliveriesTable (`target_partition`).

An item for each server policy, `reminder#{server policy id}`: `notice`, the newest message of the event; `noticeAt`, of
when that is; `dueAt`, when the reminder is due for which a message is on RetryQueue; `begunWith`, the time of the
notice with which its hours began; `expiresAt`.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.target_partition import key_in
from backup_webhooks.events.messages import Event, encode_message, parse_message
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PlannedReminder(Struct, frozen=True):
    """When a reminder is due, None where none is. `begins`: whether what was kept is the newest, and nobody has planned
    with it before.
    """

    due_at: datetime | None
    begins: bool


class RemindersStore(Struct, frozen=True):
    """Keeps what is to be told again. Raises botocore's errors. `partition`: of a target, by `target_partition`."""

    client: DynamoDBClient
    table: str

    def keep(self, partition: str, event: Event, expires_at: datetime) -> PlannedReminder:
        """Keep the notice, unless a newer one is there; answers with what is planned."""
        values = {
            ":notice": encode_message(event),
            ":at": iso_milliseconds(event.occurred_at),
            ":expiresAt": int(expires_at.timestamp()),
        }
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=_key(partition, event.server_policy_id),
                UpdateExpression="SET notice = :notice, noticeAt = :at, expiresAt = :expiresAt",
                ConditionExpression="attribute_not_exists(noticeAt) OR noticeAt <= :at",
                ExpressionAttributeValues=to_item(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            return _planned(error.response["Item"], of=None)  # type: ignore[typeddict-item]
        return _planned(answer["Attributes"], of=event)

    def plan(self, partition: str, server_policy_id: str, due_at: datetime, begun_with: datetime | None = None) -> None:
        """A message will come then, and it is the one that counts: others that are on their way do nothing.

        `begun_with`: the time of the notice with which it has begun, where it begins.
        """
        values = {":dueAt": due_at} | ({":begunWith": begun_with} if begun_with else {})
        self.client.update_item(
            TableName=self.table,
            Key=_key(partition, server_policy_id),
            UpdateExpression="SET " + ", ".join(f"{name[1:]} = {name}" for name in values),
            # Nobody plans what was forgotten meanwhile.
            ConditionExpression="attribute_exists(noticeAt)",
            ExpressionAttributeValues=to_item(
                {name: iso_milliseconds(timestamp) for name, timestamp in values.items()}
            ),
        )

    def due(self, partition: str, server_policy_id: str, due_at: datetime) -> Event | None:
        """What is to be told again at that time (a consistent read); None where no reminder is due then any more."""
        answer = self.client.get_item(TableName=self.table, Key=_key(partition, server_policy_id), ConsistentRead=True)
        fields = from_item(answer.get("Item", {}))
        if fields.get("dueAt") != iso_milliseconds(due_at):
            return None
        return cast("Event", parse_message(fields["notice"]))

    def forget(self, partition: str, server_policy_id: str, due_at: datetime) -> None:
        """It is over; unless it has begun anew."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.delete_item(
                TableName=self.table,
                Key=_key(partition, server_policy_id),
                ConditionExpression="dueAt = :dueAt",
                ExpressionAttributeValues=to_item({":dueAt": iso_milliseconds(due_at)}),
            )


def _key(partition: str, server_policy_id: str) -> dict[str, Any]:
    return key_in(partition, f"reminder#{server_policy_id}")


def _planned(item: Any, of: Event | None) -> PlannedReminder:
    fields = from_item(item)
    begins = of is not None and fields.get("begunWith") != iso_milliseconds(of.occurred_at)
    return PlannedReminder(Timestamp.parse(fields["dueAt"]) if "dueAt" in fields else None, begins)
