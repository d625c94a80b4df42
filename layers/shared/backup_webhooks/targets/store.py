"""WebhooksTable: targets with their settings, secrets and health (`items` says how they are stored).

A customer changes the targets of one event type as a whole, in one conditional transaction. The service itself writes
health and secrets, a target at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Changed, Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.items import (
    is_target,
    key_of,
    secret_items,
    settings_of,
    target_of,
    timestamp_text,
    update_options,
)
from backup_webhooks.targets.signing import SigningSecret, new_secret, rotated
from backup_webhooks.targets.target import MOST_TARGETS, Target, check_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SETTINGS = (
    "SET #url = :url, #format = :format, destinationKey = :destinationKey, #delivery = :delivery, "
    "#enabled = :enabled, #headers = :headers, #preferences = :preferences, includeOutput = :includeOutput"
)
_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason"
_SWITCHED_OFF = "switchedOffAt, switchedOffReason"
# A target's health may be written at the same time, which fails a transaction too.
_TRIES = 5


class UnknownTarget(LookupError):
    """The account has no such target: it was never set, or it was removed."""


class EventTargets(Struct, frozen=True):
    """The targets of one event type of an account. `revision` counts the changes that customers made to them."""

    account: str
    event_type: EventType
    targets: Sequence[Target] = ()
    revision: int = 0

    @property
    def version(self) -> str:
        """Return the version for `If-Match`: another after each change, and after a target was switched off."""
        return f"{self.revision}.{sum(target.enabled for target in self.targets)}"

    def find(self, target_id: str) -> Target | None:
        """Return the target with that id, or None if there is none."""
        return next((target for target in self.targets if target.target_id == target_id), None)

    def having(self, target: Target) -> Sequence[Target]:
        """Return the targets with this one, which replaces the one with the same URL."""
        return [*self.without(target.target_id), target]

    def without(self, target_id: str) -> Sequence[Target]:
        """Return the targets but the one with that id."""
        return [target for target in self.targets if target.target_id != target_id]


class TargetsStore(Struct, frozen=True):
    """Reads and writes targets. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Sequence[Target]:
        """Return all targets of the account, by key: one consistent query for up to 1 MiB of them."""
        return [target_of(item) for item in self._items(account) if is_target(item)]

    def by_event_type(self, account: str) -> Mapping[EventType, EventTargets]:
        """Return the targets of each event type, also of one without targets (a consistent read)."""
        items = self._items(account, "Backup.")
        return {event_type: _event_targets(account, event_type, items) for event_type in EventType}

    def load(self, account: str, event_type: EventType) -> EventTargets:
        """Return the targets of one event type (a consistent read)."""
        return _event_targets(account, event_type, self._items(account, f"{event_type}#"))

    def knows(self, account: str) -> bool:
        """Return whether anything was ever set for the account."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def change(
        self,
        account: str,
        event_type: EventType,
        edit: Callable[[EventTargets], Sequence[Target]],
        expected_version: str | None = None,
    ) -> EventTargets:
        """Replace the event type's targets by those that `edit` returns, all at once. Return what is stored then.

        `edit` may be called several times. A new target has a signing secret, its own or a new one. The others keep
        secrets and health, but a target that is switched on again begins without failures. Raise `Changed` if the
        version is not the expected one, `Conflict` if other writers kept coming first, `InvalidTarget`, and the errors
        of `edit`.
        """

        def write() -> EventTargets:
            seen = self.load(account, event_type)
            if expected_version not in (None, seen.version):
                raise Changed(event_type)
            wanted = _wanted(seen, edit(seen))
            self._replace(seen, wanted)
            return wanted

        return retry_on_conflict(write, _TRIES)

    def rotate_secret(self, target: Target, now: datetime, overlap: timedelta) -> SigningSecret:
        """Return the target's new signing secret, to be shown this once. The old ones sign too for the overlap.

        Raise `InvalidTarget` for an overlap beyond 0 to 7 days, `TooManySecrets`, `UnknownTarget`, and `Conflict`.
        """
        item = self.client.get_item(TableName=self.table, Key=key_of(target), ConsistentRead=True).get("Item")
        if item is None:
            raise UnknownTarget(target.target_id)
        seen, new = target_of(from_item(item)).secrets, new_secret()
        values = {":secrets": secret_items(rotated(seen, new, now, overlap))}
        if seen:
            values[":seen"] = secret_items(seen)
        # The second part holds if botocore repeats a write whose answer was lost.
        condition = f"{'#secrets = :seen' if seen else 'attribute_not_exists(#secrets)'} OR #secrets = :secrets"
        if self._update(target, "SET #secrets = :secrets", values, condition) is None:
            raise Conflict(target.target_id)
        return new

    def record_success(self, target: Target, *, slow: bool) -> Target | None:
        """Clear the target's failures. Return what is stored then, or None if the target was removed."""
        update = f"SET slow = :slow REMOVE {_FAILING}" if slow else f"REMOVE {_FAILING}, slow"
        return self._update(target, update, {":slow": True} if slow else {})

    def record_failure(
        self, target: Target, status: int | None, reason: str | None, *, slow: bool, now: datetime
    ) -> Target | None:
        """Count a failure, atomically. Return as `record_success` does."""
        return self._update(
            target,
            "SET failingSince = if_not_exists(failingSince, :now), lastStatus = :status, lastReason = :reason, "
            "slow = :slow ADD consecutiveFailures :one",
            {":now": iso_milliseconds(now), ":status": status, ":reason": reason, ":slow": slow, ":one": 1},
        )

    def record_confirmation(self, seen: Target, now: datetime) -> Target | None:
        """Record that the failures go on. Return what is stored then, or None if they have ended meanwhile."""
        return self._update(
            seen,
            "SET confirmedAt = if_not_exists(confirmedAt, :now)",
            {":now": iso_milliseconds(now), ":since": timestamp_text(seen.health.failing_since)},
            "failingSince = :since",
        )

    def switch_off(self, seen: Target, reason: str, now: datetime) -> Target | None:
        """Switch the target off. Return None if it has succeeded meanwhile, or was switched off already."""
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

    def _items(self, account: str, prefix: str = "") -> Sequence[dict[str, Any]]:
        # Consistent: a deferred delivery is judged by a health no older than the failure that deferred it.
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table, ConsistentRead=True, **_of_account(account, prefix)
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _update(
        self, target: Target, update: str, values: Mapping[str, Any], condition: str = "attribute_exists(account)"
    ) -> Target | None:
        """Return what is stored after the update, or None if the condition does not hold."""
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

    def _replace(self, seen: EventTargets, wanted: EventTargets) -> None:
        """Write the difference. Raise `Conflict` if anything that was seen has changed, or is being changed."""
        if wanted == seen:
            return
        revision: dict[str, Any] = {
            "Key": to_item({"account": seen.account, "target": f"{seen.event_type}#"}),
            "ConditionExpression": "revision = :seen" if seen.revision else "attribute_not_exists(revision)",
            "UpdateExpression": "SET revision = :next",
            "ExpressionAttributeValues": to_item(
                {":next": wanted.revision} | ({":seen": seen.revision} if seen.revision else {})
            ),
        }
        changes = [("Update", revision), *_changes(seen, wanted)]
        writes: Any = [{kind: {"TableName": self.table} | write} for kind, write in changes]
        try:
            self.client.transact_write_items(TransactItems=writes)
        except self.client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
            if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise Conflict(seen.event_type) from None
            raise


def _wanted(seen: EventTargets, targets: Sequence[Target]) -> EventTargets:
    """Return these targets with what the stored ones keep. Raise `InvalidTarget`."""
    for target in targets:
        check_target(target)
        assert (target.account, target.event_type) == (seen.account, seen.event_type)  # noqa: S101 - the routes' own
    if len(targets) > MOST_TARGETS:
        raise InvalidTarget("targetUris", f"at most {MOST_TARGETS} targets an event are allowed")
    if len({target.target_id for target in targets}) < len(targets):
        raise InvalidTarget("targetUris", "the same targetUri is given twice")
    kept = [_kept(seen.find(target.target_id), target) for target in targets]
    kept.sort(key=lambda target: target.target_id)
    changed = kept != list(seen.targets)
    return replace(seen, targets=kept, revision=seen.revision + changed)


def _kept(known: Target | None, target: Target) -> Target:
    if known is None:
        return target if target.secrets else replace(target, secrets=(new_secret(),))
    health = Health() if target.enabled and not known.enabled else known.health
    return replace(target, secrets=known.secrets, health=health)


def _changes(seen: EventTargets, wanted: EventTargets) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the writes of a transaction that lead from one to the other: each a kind and its parameters."""
    for target in wanted.targets:
        known = seen.find(target.target_id)
        if known is None:
            fields = settings_of(target) | {"secrets": secret_items(target.secrets)}
            yield (
                "Put",
                {"Item": key_of(target) | to_item(fields), "ConditionExpression": "attribute_not_exists(account)"},
            )
        elif settings_of(known) != settings_of(target):
            yield "Update", _settings_update(known, target)
    for target in seen.targets:
        if wanted.find(target.target_id) is None:
            yield "Delete", {"Key": key_of(target)}


def _settings_update(known: Target, target: Target) -> dict[str, Any]:
    update = _SETTINGS if target.health == known.health else f"{_SETTINGS} REMOVE {_FAILING}, slow, {_SWITCHED_OFF}"
    condition = "#enabled = :seen"
    values = {f":{name}": value for name, value in settings_of(target).items()} | {":seen": known.enabled}
    return {
        "Key": key_of(target),
        "ConditionExpression": condition,
        "UpdateExpression": update,
    } | update_options(update + condition, values)


def _of_account(account: str, prefix: str = "") -> dict[str, Any]:
    condition, values = "account = :account", {":account": account}
    if prefix:
        condition, values = f"{condition} AND begins_with(target, :prefix)", values | {":prefix": prefix}
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": to_item(values)}


def _event_targets(account: str, event_type: EventType, items: Sequence[dict[str, Any]]) -> EventTargets:
    of_type = [item for item in items if item["target"].startswith(f"{event_type}#")]
    revisions = [int(item["revision"]) for item in of_type if not is_target(item)]
    targets = [target_of(item) for item in of_type if is_target(item)]
    return EventTargets(account, event_type, targets, *revisions)
