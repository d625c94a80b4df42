"""What the service itself reads and writes of targets: whom to post to, how they answer, with what to sign.

What customers set is written by `TargetsStore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.targets.items import (
    is_target,
    key_of,
    secret_items,
    target_of,
    timestamp_text,
    update_options,
)
from backup_webhooks.targets.signing import SigningSecret, new_secret, rotated
from backup_webhooks.targets.target import Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason"


class UnknownTarget(LookupError):
    """No such target: it was never set, or it was removed."""


class WebhooksStore(Struct, frozen=True):
    """Reads targets, and keeps their health and secrets. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Sequence[Target]:
        """All targets of the account, in the order of their keys: one query for up to 1 MiB of them."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="account = :account",
            ExpressionAttributeValues=to_item({":account": account}),
            # What a delivery in the lane of its own is judged by is no older than the failure that sent it there.
            ConsistentRead=True,
        )
        items = [from_item(item) for page in pages for item in page["Items"]]
        return [target_of(item) for item in items if is_target(item)]

    def rotate_secret(self, target: Target, now: datetime, overlap: timedelta) -> SigningSecret:
        """Give the target a new signing secret, to be shown this once; the old ones sign too for the overlap.

        Raises `InvalidTarget` for an overlap beyond 0 to 7 days, `TooManySecrets`, `UnknownTarget`, and `Conflict`.
        """
        item = self.client.get_item(TableName=self.table, Key=key_of(target), ConsistentRead=True).get("Item")
        if item is None:
            raise UnknownTarget(target.target_id)
        seen, new = target_of(from_item(item)).secrets, new_secret()
        values = {":secrets": secret_items(rotated(seen, new, now, overlap))}
        if seen:
            values[":seen"] = secret_items(seen)
        # The latter: an answer that was lost made botocore write twice.
        condition = f"{'#secrets = :seen' if seen else 'attribute_not_exists(#secrets)'} OR #secrets = :secrets"
        if self._update(target, "SET #secrets = :secrets", values, condition) is None:
            raise Conflict(target.target_id)
        return new

    def record_success(self, target: Target, *, slow: bool) -> Target | None:
        """Forget the target's failures; answers with what is stored then, None where the target is gone."""
        update = f"SET slow = :slow REMOVE {_FAILING}" if slow else f"REMOVE {_FAILING}, slow"
        return self._update(target, update, {":slow": True} if slow else {})

    def record_failure(
        self, target: Target, status: int | None, reason: str | None, *, slow: bool, now: datetime
    ) -> Target | None:
        """Count a failure, atomically; answers as `record_success` does."""
        return self._update(
            target,
            "SET failingSince = if_not_exists(failingSince, :now), lastStatus = :status, lastReason = :reason, "
            "slow = :slow ADD consecutiveFailures :one",
            {":now": iso_milliseconds(now), ":status": status, ":reason": reason, ":slow": slow, ":one": 1},
        )

    def record_confirmation(self, seen: Target, now: datetime) -> Target | None:
        """Note that the failures go on; None where they have ended meanwhile."""
        return self._update(
            seen,
            "SET confirmedAt = if_not_exists(confirmedAt, :now)",
            {":now": iso_milliseconds(now), ":since": timestamp_text(seen.health.failing_since)},
            "failingSince = :since",
        )

    def switch_off(self, seen: Target, reason: str, now: datetime) -> Target | None:
        """Switch the target off; None where it has succeeded meanwhile, or was switched off already."""
        return self._update(
            seen,
            "SET #enabled = :off, switchedOffAt = :now, switchedOffReason = :reason",
            {
                ":on": True,
                ":off": False,
                ":now": iso_milliseconds(now),
                ":reason": reason,
                ":since": timestamp_text(seen.health.failing_since),
            },
            "failingSince = :since AND #enabled = :on",
        )

    def _update(
        self,
        target: Target,
        update: str,
        values: Mapping[str, Any],
        condition: str = "attribute_exists(account)",
    ) -> Target | None:
        """What is stored after the update; None where the condition does not hold."""
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=key_of(target),
                UpdateExpression=update,
                ConditionExpression=condition,
                ReturnValues="ALL_NEW",
                **update_options(update + condition, values),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return None
        return target_of(from_item(answer["Attributes"]))
