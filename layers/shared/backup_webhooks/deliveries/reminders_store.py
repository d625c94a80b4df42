"""Reminders, in the targets' partitions of DeliveriesTable (`target_partition`).

An item for each server policy, `reminder#{server policy id}`: `notice`, the newest message of the event; `noticeAt`,
its time; `dueAt`, when the current reminder is due; `begunWith`, the time of the event with which its hours began;
`expiresAt`.
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
    """When a reminder is due, or None. `begins`: the event is the newest, and no reminder was planned with it yet."""

    due_at: datetime | None
    begins: bool


class RemindersStore(Struct, frozen=True):
    """Reads and writes reminders. Raises botocore's errors. `partition`: of a target, by `target_partition`.

    `server_policy_id`: as it stands among the target's deliveries.
    """

    client: DynamoDBClient
    table: str

    def keep(self, partition: str, server_policy_id: str, event: Event, expires_at: datetime) -> PlannedReminder:
        """Keep the event unless a newer one is kept. Return what is planned."""
        values = {
            ":notice": encode_message(event),
            ":at": iso_milliseconds(event.occurred_at),
            # Until the reminder is planned, which may be much later.
            ":expiresAt": int(expires_at.timestamp()),
        }
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=_key(partition, server_policy_id),
                UpdateExpression="SET notice = :notice, noticeAt = :at, expiresAt = :expiresAt",
                ConditionExpression="attribute_not_exists(noticeAt) OR noticeAt <= :at",
                ExpressionAttributeValues=to_item(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            return _planned(error.response["Item"], of=None)  # type: ignore[typeddict-item]
        return _planned(answer["Attributes"], of=event)

    def plan(
        self,
        partition: str,
        server_policy_id: str,
        due_at: datetime,
        expires_at: datetime,
        begun_with: datetime | None = None,
    ) -> None:
        """Make the reminder that is due then the current one. Messages of other reminders do nothing.

        `begun_with`: the time of the event with which the trouble begins, if it begins now.
        """
        values = {":dueAt": iso_milliseconds(due_at), ":expiresAt": int(expires_at.timestamp())}
        if begun_with:
            values[":begunWith"] = iso_milliseconds(begun_with)
        self.client.update_item(
            TableName=self.table,
            Key=_key(partition, server_policy_id),
            UpdateExpression="SET " + ", ".join(f"{name[1:]} = {name}" for name in values),
            # A reminder that was forgotten meanwhile stays forgotten.
            ConditionExpression="attribute_exists(noticeAt)",
            ExpressionAttributeValues=to_item(values),
        )

    def due(self, partition: str, server_policy_id: str, due_at: datetime) -> Event | None:
        """Return the event to repeat at that time (a consistent read), or None if the reminder is not current."""
        answer = self.client.get_item(TableName=self.table, Key=_key(partition, server_policy_id), ConsistentRead=True)
        fields = from_item(answer.get("Item", {}))
        if fields.get("dueAt") != iso_milliseconds(due_at):
            return None
        return cast("Event", parse_message(fields["notice"]))

    def forget(self, partition: str, server_policy_id: str, due_at: datetime) -> None:
        """Delete the reminder, unless another one has become current."""
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
