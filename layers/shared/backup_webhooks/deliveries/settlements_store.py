"""What becomes of deliveries in the log without an attempt: replayed, resumed, abandoned, withdrawn or interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.deliveries_store import (
    RECORD,
    DeliveriesStore,
    DeliveryState,
    RecordedState,
    key_of,
    recorded_state,
)
from backup_webhooks.deliveries.delivery import AttemptDue
from backup_webhooks.events.timestamps import epoch_milliseconds, iso_milliseconds


class SettlementsStore(Struct, frozen=True):
    """Records them. Raises botocore's errors."""

    deliveries: DeliveriesStore

    def record_replay(self, due: AttemptDue) -> None:
        """Record that a delivery which was given up is attempted again. Do nothing if it is in another state now."""
        with suppress(self.deliveries.client.exceptions.ConditionalCheckFailedException):
            self.deliveries.client.update_item(
                TableName=self.deliveries.table,
                Key=to_item(key_of(due.delivery.account, due.delivery.sort_key)),
                ConditionExpression="#state IN (:failed, :exhausted) AND attempts < :attempt",
                UpdateExpression="SET #state = :retrying, retryAt = :dueAt REMOVE undeliveredOf, givenUpAt",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=to_item(
                    {
                        ":failed": str(DeliveryState.FAILED),
                        ":exhausted": str(DeliveryState.EXHAUSTED),
                        ":retrying": str(DeliveryState.RETRYING),
                        ":attempt": due.number,
                        ":dueAt": iso_milliseconds(due.due_at),
                    }
                ),
            )

    def record_resumed(self, due: AttemptDue, now: datetime) -> None:
        """Record that a retry which stood still has a new message. Do nothing if it has been attempted since."""
        with suppress(self.deliveries.client.exceptions.ConditionalCheckFailedException):
            self.deliveries.client.update_item(
                TableName=self.deliveries.table,
                Key=to_item(key_of(due.delivery.account, due.delivery.sort_key)),
                ConditionExpression="#state = :retrying AND attempts < :attempt",
                UpdateExpression="SET retryAt = :now, resumedAt = :now",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=to_item(
                    {
                        ":retrying": str(DeliveryState.RETRYING),
                        ":attempt": due.number,
                        ":now": iso_milliseconds(now),
                    }
                ),
            )

    def abandon(self, due: AttemptDue, reason: str, now: datetime) -> RecordedState | None:
        """Record that this attempt, and each after it, is not made. Return None.

        An attempt whose claim lapsed may have been made all the same, which the record then says. Return the recorded
        state instead if the attempt was made, if a function is making it, or if the delivery was settled before.
        """
        item = self._settle(due, DeliveryState.FAILED, f"not attempted: {reason}", now)
        if item is None:
            return None
        lapsed = item["state"] == DeliveryState.CLAIMED and item["claimedUntil"] < epoch_milliseconds(now)
        if lapsed and item["attempts"] <= due.number and self.interrupt(item, reason, now):
            return None
        return recorded_state(item)

    def withdraw(self, due: AttemptDue, reason: str, now: datetime) -> RecordedState | None:
        """Record that the delivery is suppressed before this attempt. Return None, or the recorded state as `abandon`.

        An attempt whose claim lapsed is not known to have failed, and stays as it is.
        """
        item = self._settle(due, DeliveryState.SUPPRESSED, reason, now)
        return recorded_state(item) if item else None

    def interrupt(self, item: Mapping[str, Any], reason: str, now: datetime) -> bool:
        """Record that the attempt under this claim, which lapsed, is not repeated. Return False if it was recorded."""
        try:
            self.deliveries.client.update_item(
                TableName=self.deliveries.table,
                Key=to_item({name: item[name] for name in ("accountDay", "delivery")}),
                ConditionExpression="claimToken = :seen",
                UpdateExpression=(
                    "SET #state = :failed, #error = :error, undeliveredOf = account, givenUpAt = :givenUpAt "
                    "REMOVE claimToken, claimedUntil"
                ),
                ExpressionAttributeNames={"#state": "state", "#error": "error"},
                ExpressionAttributeValues=to_item(
                    {
                        ":seen": item["claimToken"],
                        ":failed": str(DeliveryState.FAILED),
                        ":error": f"interrupted, may have arrived: {reason}",
                        ":givenUpAt": iso_milliseconds(now),
                    }
                ),
            )
        except self.deliveries.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _settle(self, due: AttemptDue, state: DeliveryState, reason: str, now: datetime) -> dict[str, Any] | None:
        """Record the state before this attempt. Return None, or the item as it is, if it is claimed or settled."""
        given_up = state is DeliveryState.FAILED
        index = (
            ", undeliveredOf = :account, givenUpAt = :now REMOVE" if given_up else " REMOVE undeliveredOf, givenUpAt,"
        )
        try:
            self.deliveries.client.update_item(
                TableName=self.deliveries.table,
                Key=to_item(key_of(due.delivery.account, due.delivery.sort_key)),
                # A delivery that was settled otherwise, and is replayed, stays as it is.
                ConditionExpression=(
                    "attribute_not_exists(delivery) OR (#state IN (:retrying, :exhausted) AND attempts < :attempt)"
                ),
                UpdateExpression=(
                    f"SET {RECORD} #state = :state, attempts = if_not_exists(attempts, :none), #error = :error, "
                    f"expiresAt = :expiresAt{index} retryAt"
                ),
                ExpressionAttributeNames={"#state": "state", "#error": "error", "#format": "format"},
                ExpressionAttributeValues=to_item(
                    self.deliveries.values(due.delivery, now)
                    | {
                        ":retrying": str(DeliveryState.RETRYING),
                        ":exhausted": str(DeliveryState.EXHAUSTED),
                        ":state": str(state),
                        ":attempt": due.number,
                        ":none": 0,
                        ":error": reason,
                    }
                    | ({":now": iso_milliseconds(now)} if given_up else {})
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.deliveries.client.exceptions.ConditionalCheckFailedException as error:
            return from_item(error.response["Item"])  # type: ignore[typeddict-item]
        return None
