"""DeliveriesTable: what was sent where, and how it went. The claim that allows one attempt is the log entry itself.

Partition `accountDay`: `{account}#{yyyy-mm-dd of the event, UTC}`; sort key `delivery`:
`{event time, ISO ms}#{event}#{restorePointId or serverPolicyId}#{targetId}`.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from backup_webhooks.delivery import Delivery
from backup_webhooks.moments import epoch_milliseconds, iso_milliseconds
from backup_webhooks.sender import Attempt
from backup_webhooks.stores.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_RESPONSE_BYTES = 1024


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    CLAIMED = "claimed"
    DELIVERED = "delivered"
    FAILED = "failed"


class ClaimRefused(Enum):
    """Why a delivery can't be claimed: its attempt was made, or another function has it in hand."""

    SETTLED = "settled"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one attempt at a delivery, until it lapses."""

    delivery: Delivery
    token: str


@dataclass(frozen=True, slots=True)
class DeliveriesStore:
    """Claims deliveries and records their outcomes. Raises botocore's errors."""

    client: DynamoDBClient
    table: str
    retention: timedelta

    def claim(self, delivery: Delivery, *, now: datetime, until: datetime) -> Claim | ClaimRefused:
        """Take the delivery for one attempt, atomically, unless it was attempted or somebody's claim still stands."""
        token = uuid.uuid4().hex
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(delivery)),
                ConditionExpression="attribute_not_exists(delivery) OR (#state = :claimed AND claimedUntil < :now)",
                UpdateExpression=(
                    "SET #state = :claimed, claimToken = :token, claimedUntil = :until, claimedAt = :claimedAt, "
                    "account = :account, event = :event, targetId = :targetId, #url = :url, webhookId = :webhookId, "
                    "body = :body, expiresAt = :expiresAt ADD attempts :one"
                ),
                ExpressionAttributeNames={"#state": "state", "#url": "url"},
                ExpressionAttributeValues=to_item(
                    {
                        ":claimed": str(DeliveryState.CLAIMED),
                        ":now": epoch_milliseconds(now),
                        ":token": token,
                        ":until": epoch_milliseconds(until),
                        ":claimedAt": iso_milliseconds(now),
                        ":account": delivery.target.account,
                        ":event": str(delivery.target.event),
                        ":targetId": delivery.target.target_id,
                        ":url": delivery.target.url,
                        ":webhookId": delivery.webhook_id,
                        ":body": delivery.body.decode(),
                        ":expiresAt": int((now + self.retention).timestamp()),
                        ":one": 1,
                    }
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            standing = from_item(error.response["Item"])  # type: ignore[typeddict-item]
            # An answer that was lost on its way made botocore ask again: the claim that stands is this very one.
            if standing.get("claimToken") == token:
                return Claim(delivery, token)
            return ClaimRefused.HELD if standing["state"] == DeliveryState.CLAIMED else ClaimRefused.SETTLED
        return Claim(delivery, token)

    def record(self, claim: Claim, attempt: Attempt) -> None:
        """Write down what came of the attempt. Does nothing where the claim has lapsed and somebody else took it."""
        state = DeliveryState.DELIVERED if attempt.delivered else DeliveryState.FAILED
        # Suppressed: the claim lapsed and was taken over, or a lost answer made botocore write twice.
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(claim.delivery)),
                ConditionExpression="claimToken = :token",
                UpdateExpression=(
                    "SET #state = :state, httpStatus = :status, milliseconds = :milliseconds, #error = :error, "
                    "#response = :response REMOVE claimToken, claimedUntil"
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
                    }
                ),
            )


def _key(delivery: Delivery) -> dict[str, str]:
    return {"accountDay": delivery.account_day, "delivery": delivery.sort_key}
