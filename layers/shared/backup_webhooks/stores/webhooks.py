"""WebhooksTable: the targets that customers have set. Partition `account`, sort key `target`: `{event}#{targetId}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backup_webhooks.health import Health
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.moments import Moment, iso_milliseconds
from backup_webhooks.signing import SigningSecret, new_secret, rotated
from backup_webhooks.stores.items import from_item, to_item
from backup_webhooks.targets import DeliveryMode, Target, check_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NAMES = {
    "#url": "url",
    "#format": "format",
    "#delivery": "delivery",
    "#enabled": "enabled",
    "#headers": "headers",
    "#secrets": "secrets",
}
_SETTINGS = (
    "SET #url = :url, #format = :format, #delivery = :delivery, #enabled = :enabled, #headers = :headers, "
    "#secrets = if_not_exists(#secrets, :secrets)"
)
_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason"
_SWITCHED_OFF = "switchedOffAt, switchedOffReason"


class UnknownTarget(LookupError):
    """No such target: it was never set, or it was removed."""


class Conflict(Exception):
    """Somebody else has changed the target in this very moment."""


@dataclass(frozen=True, slots=True)
class WebhooksStore:
    """Reads and writes targets. Raises botocore's errors."""

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
        return [_target(from_item(item)) for page in pages for item in page["Items"]]

    def save(self, target: Target) -> SigningSecret | None:
        """Store the target's settings, over those of one with the same URL for the same event.

        Answers with the signing secret if the target is new, to be shown this once: it is told nowhere else. Secrets
        and health that are there stay; a target that is switched on again begins anew. Raises `InvalidTarget`.
        """
        check_target(target)
        secret = new_secret()
        settings = {
            ":url": target.url,
            ":format": target.format,
            ":delivery": str(target.delivery),
            ":enabled": target.enabled,
            ":headers": dict(target.headers),
            ":secrets": _secret_items([secret]),
        }
        stored = None
        if target.enabled:
            stored = self._update(
                target,
                f"{_SETTINGS} REMOVE {_SWITCHED_OFF}",
                settings,
                "attribute_not_exists(account) OR #enabled = :enabled",
            )
        # What led to its being switched off is no longer held against it; it is, while it stays so.
        stored = stored or self._update(
            target,
            f"{_SETTINGS} REMOVE {_FAILING}, slow, {_SWITCHED_OFF}" if target.enabled else _SETTINGS,
            settings,
            condition=None,
        )
        assert stored is not None  # noqa: S101
        # By its value, not by what was there before: an answer that was lost made botocore write twice.
        return secret if stored.secrets[0].value == secret.value else None

    def remove(self, target: Target) -> None:
        """Remove the target, its secrets and its health. Nothing happens where it is gone already."""
        self.client.delete_item(TableName=self.table, Key=_key(target))

    def rotate_secret(self, target: Target, now: datetime, overlap: timedelta) -> SigningSecret:
        """Give the target a new signing secret, to be shown this once; the old ones sign too for the overlap.

        Raises `InvalidTarget` for an overlap beyond 0 to 7 days, `UnknownTarget`, and `Conflict`.
        """
        item = self.client.get_item(TableName=self.table, Key=_key(target), ConsistentRead=True).get("Item")
        if item is None:
            raise UnknownTarget(target.target_id)
        seen, new = _target(from_item(item)).secrets, new_secret()
        values = {":secrets": _secret_items(rotated(seen, new, now, overlap))}
        if seen:
            values[":seen"] = _secret_items(seen)
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
            {":now": iso_milliseconds(now), ":since": _text(seen.health.failing_since)},
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
                ":since": _text(seen.health.failing_since),
            },
            "failingSince = :since AND #enabled = :on",
        )

    def _update(
        self,
        target: Target,
        update: str,
        values: Mapping[str, Any],
        condition: str | None = "attribute_exists(account)",
    ) -> Target | None:
        """What is stored after the update; None where the condition does not hold."""
        options: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        # DynamoDB takes no name and no value that is not used, and no empty set of them.
        if names := {name: text for name, text in _NAMES.items() if name in f"{update} {condition}"}:
            options["ExpressionAttributeNames"] = names
        if values:
            options["ExpressionAttributeValues"] = to_item(values)
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=_key(target),
                UpdateExpression=update,
                ReturnValues="ALL_NEW",
                **options,
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return None
        return _target(from_item(answer["Attributes"]))


def _key(target: Target) -> dict[str, Any]:
    return to_item({"account": target.account, "target": f"{target.event}#{target.target_id}"})


def _target(fields: dict[str, Any]) -> Target:
    event, _, _ = fields["target"].partition("#")
    return Target(
        account=fields["account"],
        event=WebhookEvent(event),
        url=fields["url"],
        format=fields["format"],
        delivery=DeliveryMode(fields["delivery"]),
        enabled=fields["enabled"],
        headers=fields.get("headers", {}),
        secrets=tuple(
            SigningSecret(secret["value"], _moment(secret["expiresAt"])) for secret in fields.get("secrets", ())
        ),
        health=_health(fields),
    )


def _health(fields: Mapping[str, Any]) -> Health:
    status = fields.get("lastStatus")
    return Health(
        consecutive_failures=int(fields.get("consecutiveFailures", 0)),
        failing_since=_moment(fields.get("failingSince")),
        confirmed_at=_moment(fields.get("confirmedAt")),
        last_status=None if status is None else int(status),
        last_reason=fields.get("lastReason"),
        slow=fields.get("slow", False),
        switched_off_at=_moment(fields.get("switchedOffAt")),
        switched_off_reason=fields.get("switchedOffReason"),
    )


def _secret_items(secrets: Sequence[SigningSecret]) -> list[dict[str, str | None]]:
    return [{"value": secret.value, "expiresAt": _text(secret.expires_at)} for secret in secrets]


def _moment(text: str | None) -> datetime | None:
    return Moment.parse(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return iso_milliseconds(moment) if moment else None
