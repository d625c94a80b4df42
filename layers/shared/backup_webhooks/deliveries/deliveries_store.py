"""DeliveriesTable: the delivery log. The record of a delivery is also the claim that allows one attempt at it.

Partition `accountDay`: `{account}#{yyyy-mm-dd of the event, UTC}`; sort key `delivery`: `Delivery.sort_key`. Deliveries
that were given up stand in the sparse index `undelivered`, by account and time. `groupedIn`: the sort key of the
delivery in which a grouped one was sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.retry import pause
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds, iso_milliseconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from backup_webhooks.posting.sender import AttemptResult
    from backup_webhooks.targets.target import Target

KEPT_RESPONSE_BYTES = 1024


class DeliveryState(StrEnum):
    """The state of a delivery in the log."""

    CLAIMED = "claimed"
    """An attempt is being made, or the function that made it was killed."""
    DELIVERED = "delivered"
    RETRYING = "retrying"
    """The last attempt failed; the next is planned."""
    FAILED = "failed"
    """The last attempt failed, and no other is planned."""
    EXHAUSTED = "exhausted"
    """The last retry failed; the delivery is in the dead-letter queue."""
    SUPPRESSED = "suppressed"
    """The target's preferences did not want it. That counts as the first attempt, which is never made."""
    GROUPED = "grouped"
    """It is sent in another delivery, together with others. That counts as the first attempt too."""


UNDELIVERED = (DeliveryState.FAILED, DeliveryState.EXHAUSTED)


class Claim(Struct, frozen=True):
    """The right to make one attempt at a delivery, from `taken_at` until it lapses."""

    delivery: Delivery
    token: str
    taken_at: datetime


class RecordedState(Struct, frozen=True):
    """The state of a delivery in the log. `attempts`: the latest's number; `retry_at`: of the planned retry, if any."""

    state: DeliveryState
    attempts: int
    retry_at: datetime | None = None


# No attempt of this number was made, and no function is making one. A claim that lapsed, of a number up to this one,
# belonged to a function that was killed.
_FREE = (
    "attribute_not_exists(delivery) OR (#state <> :claimed AND attempts < :attempt) "
    "OR (#state = :claimed AND claimedUntil < :now AND attempts <= :attempt)"
)
_DAY_LENGTH = len("yyyy-mm-dd")
_TRIES, _PAUSE_SECONDS = 3, 0.2
# A transaction that failed for these reasons may succeed soon.
_PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_GROUPED = "sent in one message with the other events of a minute"
RECORD = (
    "account = :account, event = :event, targetId = :targetId, webhookId = :webhookId, "
    "body = :body, #format = :format, incident = :incident, "
    "plainBody = :plainBody, "
)


class DeliveriesStore(Struct, frozen=True):
    """Claims deliveries and records their results. Raises botocore's errors."""

    client: DynamoDBClient
    table: str
    retention: timedelta

    def claim(self, due: AttemptDue, target: Target, *, now: datetime, until: datetime) -> Claim | RecordedState:
        """Return the claim for this one attempt, taken atomically, or the recorded state if it cannot be taken."""
        token = uuid.uuid4().hex
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(due.delivery)),
                ConditionExpression=_FREE,
                UpdateExpression=(
                    f"SET {RECORD} #url = :url, #state = :claimed, attempts = :attempt, claimToken = :token, "
                    "claimedUntil = :until, claimedAt = :claimedAt, expiresAt = :expiresAt "
                    "REMOVE retryAt, undeliveredOf, givenUpAt, resumedAt"
                ),
                ExpressionAttributeNames={"#state": "state", "#url": "url", "#format": "format"},
                ExpressionAttributeValues=to_item(
                    self.values(due.delivery, now)
                    | {
                        ":claimed": str(DeliveryState.CLAIMED),
                        ":attempt": due.number,
                        ":now": epoch_milliseconds(now),
                        ":url": target.url,
                        ":token": token,
                        ":until": epoch_milliseconds(until),
                        ":claimedAt": iso_milliseconds(now),
                    }
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            item = from_item(error.response["Item"])  # type: ignore[typeddict-item]
            # botocore repeats a call whose answer was lost: the claim that stands is then this very one.
            return Claim(due.delivery, token, now) if item.get("claimToken") == token else recorded_state(item)
        return Claim(due.delivery, token, now)

    def record(self, claim: Claim, result: AttemptResult, state: DeliveryState, retry_at: datetime | None) -> None:
        """Record the result of the attempt. Do nothing if the claim has lapsed and another function took it."""
        given_up = state in UNDELIVERED
        # Suppressed: the claim lapsed and was taken over, or botocore repeats a write whose answer was lost.
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(claim.delivery)),
                ConditionExpression="claimToken = :token",
                UpdateExpression=(
                    "SET #state = :state, httpStatus = :status, milliseconds = :milliseconds, #error = :error, "
                    "#response = :response, retryAt = :retryAt"
                    + (", undeliveredOf = :account, givenUpAt = :givenUpAt" if given_up else "")
                    + " REMOVE claimToken, claimedUntil"
                ),
                ExpressionAttributeNames={"#state": "state", "#error": "error", "#response": "response"},
                ExpressionAttributeValues=to_item(
                    {
                        ":token": claim.token,
                        ":state": str(state),
                        ":status": result.status,
                        ":milliseconds": result.milliseconds,
                        ":error": result.reason,
                        ":response": result.response[:KEPT_RESPONSE_BYTES].decode(errors="replace"),
                        ":retryAt": retry_at and iso_milliseconds(retry_at),
                    }
                    | (
                        {":account": claim.delivery.account, ":givenUpAt": iso_milliseconds(claim.taken_at)}
                        if given_up
                        else {}
                    )
                ),
            )

    def fate(self, account: str, sort_key: str) -> DeliveryState | None:
        """Return the state of the delivery with that key, or of the one in which it was sent with others.

        The reads are consistent. None: there is no record.
        """
        key = to_item(key_of(account, sort_key))
        item = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return None
        fields = from_item(item)
        return self.fate(account, fields["groupedIn"]) if "groupedIn" in fields else recorded_state(fields).state

    def suppress(self, delivery: Delivery, target: Target, reason: str, now: datetime) -> bool:
        """Record that the delivery is suppressed. Return False if it was attempted or grouped before."""
        update = self._not_attempted(delivery, target, DeliveryState.SUPPRESSED, reason, now)
        # The second part holds if botocore repeats a write whose answer was lost.
        condition = "attribute_not_exists(delivery) OR #state = :state"
        try:
            self.client.update_item(**update, ConditionExpression=condition)
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def group(self, delivery: Delivery, target: Target, now: datetime, waiting: Mapping[str, Any]) -> bool:
        """Record that the delivery is grouped, and write the item that waits for the group: both or none.

        Return False if the delivery was attempted or suppressed before. Write nothing if it was grouped before.
        """
        update = self._not_attempted(delivery, target, DeliveryState.GROUPED, _GROUPED, now)
        writes: Any = [
            {"Update": update | {"ConditionExpression": "attribute_not_exists(delivery)"}},
            {"Put": {"TableName": self.table, "Item": to_item(waiting)}},
        ]
        return self.write_all(writes) or self.fate(delivery.account, delivery.sort_key) is DeliveryState.GROUPED

    def write_all(self, writes: Any) -> bool:
        """Make all writes in one transaction, or none. Return False if a condition does not hold."""
        for attempt in range(_TRIES):
            try:
                self.client.transact_write_items(TransactItems=writes)
            except self.client.exceptions.TransactionCanceledException as error:
                codes = {reason.get("Code", "None") for reason in error.response["CancellationReasons"]} - {"None"}
                if "ConditionalCheckFailed" in codes:
                    return False
                if not codes <= _PASSING or attempt == _TRIES - 1:
                    raise
                # botocore repeats a throttled call, but not a throttled transaction.
                pause(attempt, _PAUSE_SECONDS)
            else:
                break
        return True

    def _not_attempted(
        self, delivery: Delivery, target: Target, state: DeliveryState, reason: str, now: datetime
    ) -> dict[str, Any]:
        """Return the update that records a delivery without an attempt of its own."""
        values = self.values(delivery, now) | {
            ":state": str(state),
            ":attempt": 1,
            ":error": reason,
            ":url": target.url,
        }
        return {
            "TableName": self.table,
            "Key": to_item(_key(delivery)),
            "UpdateExpression": (
                f"SET {RECORD} #url = :url, #state = :state, attempts = :attempt, #error = :error, "
                "expiresAt = :expiresAt"
            ),
            "ExpressionAttributeNames": {"#state": "state", "#error": "error", "#url": "url", "#format": "format"},
            "ExpressionAttributeValues": to_item(values),
        }

    def values(self, delivery: Delivery, now: datetime) -> dict[str, Any]:
        """Return the values that `RECORD` names, and `:expiresAt`."""
        return {
            ":account": delivery.account,
            ":event": str(delivery.event_type),
            ":targetId": delivery.target_id,
            ":webhookId": delivery.webhook_id,
            ":body": delivery.body,
            ":format": delivery.format,
            ":plainBody": delivery.plain_body,
            ":incident": to_builtins(delivery.incident, enc_hook=iso_milliseconds),
            ":expiresAt": int((now + self.retention).timestamp()),
        }


def key_of(account: str, sort_key: str) -> dict[str, str]:
    """Return the key of the account's delivery with that sort key, which begins with its day."""
    return {"accountDay": f"{account}#{sort_key[:_DAY_LENGTH]}", "delivery": sort_key}


def _key(delivery: Delivery) -> dict[str, str]:
    return {"accountDay": delivery.account_day, "delivery": delivery.sort_key}


def recorded_state(item: dict[str, Any]) -> RecordedState:
    """Return the state of the delivery that the item records."""
    retry_at = item.get("retryAt")
    return RecordedState(DeliveryState(item["state"]), int(item["attempts"]), retry_at and Timestamp.parse(retry_at))
