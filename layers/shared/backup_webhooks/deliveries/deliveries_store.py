"""DeliveriesTable: what was sent where, and how it went. The claim that allows one attempt is the log entry itself.

Partition `accountDay`: `{account}#{yyyy-mm-dd of the event, UTC}`; sort key `delivery`:
`{event time, ISO ms}#{event}#{restorePointId or serverPolicyId}#{targetId}`. Those that were given up stand in the
sparse index `undelivered`, by account and by when that was.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.deliveries.delivery import AttemptDue, Delivery
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds, iso_milliseconds
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.target import Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_RESPONSE_BYTES = 1024


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    CLAIMED = "claimed"
    """An attempt is being made, or whoever made it was killed."""
    DELIVERED = "delivered"
    RETRYING = "retrying"
    """The last attempt failed; the next is planned."""
    FAILED = "failed"
    """The last attempt failed, and no other is planned."""
    EXHAUSTED = "exhausted"
    """The last retry failed; the delivery stands in the dead letters."""
    SUPPRESSED = "heldBack"
    """Its target's settings did not want it. It counts as the first attempt, which nobody will make."""
    GROUPED = "gathered"
    """It is told in another delivery, together with others. It counts as the first attempt too."""


UNDELIVERED = (DeliveryState.FAILED, DeliveryState.EXHAUSTED)


class Claim(Struct, frozen=True):
    """The right to make one attempt at a delivery, from `taken_at` until it lapses."""

    delivery: Delivery
    token: str
    taken_at: datetime


class RecordedState(Struct, frozen=True):
    """How a delivery stands in the log. `attempts`: the number of the latest; `retry_at` where one is planned."""

    state: DeliveryState
    attempts: int
    retry_at: datetime | None = None


# An attempt of this number has not been made, and nobody is at any. A claim that lapsed, of whatever number up to this
# one, was its owner's last sign of life.
_FREE = (
    "attribute_not_exists(delivery) OR (#state <> :claimed AND attempts < :attempt) "
    "OR (#state = :claimed AND claimedUntil < :now AND attempts <= :attempt)"
)
_TRIES, _PAUSE_SECONDS = 3, 0.2
# Why a transaction was not done that may be done in a moment.
_PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_GATHERED = "told in one message with what came within a minute"
_ENTRY = (
    "account = :account, event = :event, targetId = :targetId, webhookId = :webhookId, "
    "body = :body, #format = :format, "
)


class DeliveriesStore(Struct, frozen=True):
    """Claims deliveries and records their outcomes. Raises botocore's errors."""

    client: DynamoDBClient
    table: str
    retention: timedelta

    def claim(self, order: AttemptDue, target: Target, *, now: datetime, until: datetime) -> Claim | RecordedState:
        """Take the delivery for this one attempt, atomically, or answer how it stands: attempted, or in other hands."""
        token = uuid.uuid4().hex
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(order.delivery)),
                ConditionExpression=_FREE,
                UpdateExpression=(
                    f"SET {_ENTRY} #url = :url, #state = :claimed, attempts = :attempt, claimToken = :token, "
                    "claimedUntil = :until, claimedAt = :claimedAt, expiresAt = :expiresAt "
                    "REMOVE retryAt, undeliveredOf, givenUpAt"
                ),
                ExpressionAttributeNames={"#state": "state", "#url": "url", "#format": "format"},
                ExpressionAttributeValues=to_item(
                    self._values(order, now)
                    | {
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
            # An answer that was lost on its way made botocore ask again: the claim that stands is this very one.
            return Claim(order.delivery, token, now) if item.get("claimToken") == token else recorded_state(item)
        return Claim(order.delivery, token, now)

    def record(self, claim: Claim, attempt: AttemptResult, state: DeliveryState, retry_at: datetime | None) -> None:
        """Write down what came of the attempt. Does nothing where the claim has lapsed and somebody else took it."""
        given_up = state in UNDELIVERED
        # Suppressed: the claim lapsed and was taken over, or a lost answer made botocore write twice.
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
                        ":status": attempt.status,
                        ":milliseconds": attempt.milliseconds,
                        ":error": attempt.reason,
                        ":response": attempt.response[:KEPT_RESPONSE_BYTES].decode(errors="replace"),
                        ":retryAt": retry_at and iso_milliseconds(retry_at),
                    }
                    | (
                        {":account": claim.delivery.account, ":givenUpAt": iso_milliseconds(claim.taken_at)}
                        if given_up
                        else {}
                    )
                ),
            )

    def abandon(self, order: AttemptDue, reason: str, now: datetime) -> RecordedState | None:
        """Write down that this attempt, the first or a retry, was not made and will not be.

        Answers how the delivery stands where that can't be said: the attempt was made, somebody is at it, or it was a
        replay, and the delivery was settled before.
        """
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(order.delivery)),
                # What a replay finds settled stays as it is.
                ConditionExpression=f"({_FREE}) AND NOT #state IN (:delivered, :failed, :exhausted, :held, :gathered)",
                UpdateExpression=(
                    f"SET {_ENTRY} #state = :failed, attempts = if_not_exists(attempts, :none), #error = :error, "
                    "expiresAt = :expiresAt, undeliveredOf = :account, givenUpAt = :givenUpAt "
                    "REMOVE retryAt, claimToken, claimedUntil"
                ),
                ExpressionAttributeNames={"#state": "state", "#error": "error", "#format": "format"},
                ExpressionAttributeValues=to_item(
                    self._values(order, now)
                    | {
                        ":delivered": str(DeliveryState.DELIVERED),
                        ":failed": str(DeliveryState.FAILED),
                        ":exhausted": str(DeliveryState.EXHAUSTED),
                        ":held": str(DeliveryState.SUPPRESSED),
                        ":gathered": str(DeliveryState.GROUPED),
                        ":none": 0,
                        ":error": reason,
                        ":givenUpAt": iso_milliseconds(now),
                    }
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            return recorded_state(from_item(error.response["Item"]))  # type: ignore[typeddict-item]
        return None

    def suppress(self, delivery: Delivery, target: Target, reason: str, now: datetime) -> bool:
        """Write down that the delivery is not wanted; False where it was judged before, one way or the other."""
        update = self._not_attempted(delivery, target, DeliveryState.SUPPRESSED, reason, now)
        # The latter: an answer that was lost made botocore write twice.
        condition = "attribute_not_exists(delivery) OR #state = :state"
        try:
            self.client.update_item(**update, ConditionExpression=condition)
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def gather(self, delivery: Delivery, target: Target, now: datetime, waiting: Mapping[str, Any]) -> bool:
        """Write down that the delivery becomes a part of another, and what waits for that, as an item: both or nothing.

        False where it was judged before, in another way; nothing is written where this was done already.
        """
        update = self._not_attempted(delivery, target, DeliveryState.GROUPED, _GATHERED, now)
        writes: Any = [
            {"Update": update | {"ConditionExpression": "attribute_not_exists(delivery)"}},
            {"Put": {"TableName": self.table, "Item": to_item(waiting)}},
        ]
        for attempt in range(_TRIES):
            try:
                self.client.transact_write_items(TransactItems=writes)
            except self.client.exceptions.TransactionCanceledException as error:
                codes = {reason.get("Code", "None") for reason in error.response["CancellationReasons"]} - {"None"}
                if "ConditionalCheckFailed" in codes:
                    answer = self.client.get_item(TableName=self.table, Key=update["Key"], ConsistentRead=True)
                    return from_item(answer.get("Item", {})).get("state") == DeliveryState.GROUPED
                if not codes <= _PASSING or attempt == _TRIES - 1:
                    raise
                # botocore repeats what is throttled, but not in a transaction.
                time.sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))  # noqa: S311 - spreads tries, guards nothing
            else:
                break
        return True

    def _not_attempted(
        self, delivery: Delivery, target: Target, state: DeliveryState, reason: str, now: datetime
    ) -> dict[str, Any]:
        """The update by which an entry says that the delivery is made in no attempt of its own."""
        values = self._values(AttemptDue.first(delivery, now), now) | {
            ":state": str(state),
            ":error": reason,
            ":url": target.url,
        }
        return {
            "TableName": self.table,
            "Key": to_item(_key(delivery)),
            "UpdateExpression": (
                f"SET {_ENTRY} #url = :url, #state = :state, attempts = :attempt, #error = :error, "
                "expiresAt = :expiresAt"
            ),
            "ExpressionAttributeNames": {"#state": "state", "#error": "error", "#url": "url", "#format": "format"},
            "ExpressionAttributeValues": to_item(
                {name: value for name, value in values.items() if name not in (":claimed", ":now")}
            ),
        }

    def _values(self, order: AttemptDue, now: datetime) -> dict[str, Any]:
        delivery = order.delivery
        return {
            ":claimed": str(DeliveryState.CLAIMED),
            ":attempt": order.attempt,
            ":now": epoch_milliseconds(now),
            ":account": delivery.account,
            ":event": str(delivery.event_type),
            ":targetId": delivery.target_id,
            ":webhookId": delivery.webhook_id,
            ":body": delivery.body,
            ":format": delivery.format,
            ":expiresAt": int((now + self.retention).timestamp()),
        }


def _key(delivery: Delivery) -> dict[str, str]:
    return {"accountDay": delivery.account_day, "delivery": delivery.sort_key}


def recorded_state(item: dict[str, Any]) -> RecordedState:
    """How the delivery that the item is stands."""
    retry_at = item.get("retryAt")
    return RecordedState(DeliveryState(item["state"]), int(item["attempts"]), retry_at and Timestamp.parse(retry_at))
