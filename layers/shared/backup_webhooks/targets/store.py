"""WebhooksTable: targets with their settings, secrets and health (`items` says how they are stored).

A customer changes the targets of an account in one conditional transaction. The service itself writes health and
secrets, a target at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import AccountChanged, EventType
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.posting.target_url import normalised, url_key
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.items import (
    PLACE,
    PREFIX,
    is_target,
    key_of,
    secret_items,
    settings_of,
    target_of,
    timestamp_text,
    update_options,
)
from backup_webhooks.targets.signing import SigningSecret, new_secret, rotated
from backup_webhooks.targets.target import MOST_TARGETS, Target, check_target, ordered

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SETTINGS = (
    "SET #url = :url, #events = :events, #filter = :filter, #recursive = :recursive, #format = :format, "
    "destinationKey = :destinationKey, #delivery = :delivery, #enabled = :enabled, #headers = :headers, "
    "#preferences = :preferences, includeOutput = :includeOutput, revision = :revision, "
    "begun = :begun"
)
_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason"
_SWITCHED_OFF = "switchedOffAt, switchedOffReason"
# A target's health may be written at the same time, which fails a transaction too.
_TRIES = 5


class UnknownTarget(LookupError):
    """The account has no such target: it was never set, or it was removed."""


class AccountTargets(Struct, frozen=True):
    """The targets of an account, in the order of their ids.

    `revision` counts the changes that customers made. `parent`: the alias of the account above this one, or None.
    """

    account: str
    targets: Sequence[Target] = ()
    revision: int = 0
    parent: str | None = None

    def of_event(self, event_type: EventType) -> Sequence[Target]:
        """Return the targets that name the event type."""
        return [target for target in self.targets if event_type in target.event_types]

    def find(self, target_id: str) -> Target | None:
        """Return the target with that id, or None if there is none."""
        return next((target for target in self.targets if target.target_id == target_id), None)

    def with_url(self, url: str, event_types: Collection[EventType]) -> Target | None:
        """Return the target with that URL, in any spelling, that names one of the event types; None if there is none.

        Raise `InvalidTarget` for a text that is no URL.
        """
        key = url_key(url)
        named = (target for target in self.targets if set(target.event_types) & set(event_types))
        return next((target for target in named if url_key(target.url) == key), None)

    def having(self, target: Target) -> Sequence[Target]:
        """Return the targets with this one, which replaces the one with the same id."""
        return [*self.without(target.target_id), target]

    def without(self, target_id: str) -> Sequence[Target]:
        """Return the targets but the one with that id."""
        return [target for target in self.targets if target.target_id != target_id]


def version_of(targets: Iterable[Target]) -> str:
    """Return the targets' version for `If-Match`: another after each change, and after one was switched off."""
    versions = [f"{target.target_id}.{target.revision}.{target.enabled}" for target in targets]
    return sha256(" ".join(versions).encode()).hexdigest()[:16]


class TargetsStore(Struct, frozen=True):
    """Reads and writes targets. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def load(self, account: str) -> AccountTargets:
        """Return the account's targets and its place in the hierarchy (a consistent read)."""
        # Consistent: a deferred delivery is judged by a health no older than the failure that deferred it.
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table, ConsistentRead=True, **_of_account(account)
        )
        items = {fields["target"]: fields for page in pages for fields in map(from_item, page["Items"])}
        return AccountTargets(
            account,
            [target_of(fields) for fields in items.values() if is_target(fields)],
            revision=int(items.get(PREFIX, {}).get("revision", 0)),
            parent=items.get(PLACE, {}).get("parentAlias"),
        )

    def record_place(self, change: AccountChanged) -> None:
        """Record the account's place in the hierarchy, unless a later change of it is recorded."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"account": change.account_alias, "target": PLACE}),
                UpdateExpression="SET parentAlias = :parent, changedDate = :at",
                ConditionExpression="attribute_not_exists(changedDate) OR changedDate <= :at",
                ExpressionAttributeValues=to_item(
                    {":parent": change.parent_alias, ":at": iso_milliseconds(change.changed_date)}
                ),
            )

    def knows(self, account: str) -> bool:
        """Return whether anything was ever set for the account."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def change(self, account: str, edit: Callable[[AccountTargets], Sequence[Target]]) -> AccountTargets:
        """Replace the account's targets by those that `edit` returns, all at once. Return what is stored then.

        `edit` may be called several times. A new target has a signing secret, its own or a new one. The others keep
        secrets and health, but a target that is switched on again or has another URL begins without failures. Raise
        `Conflict` if other writers kept coming first, `InvalidTarget`, and the errors of `edit`.
        """

        def write() -> AccountTargets:
            seen = self.load(account)
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

    def switch_on(self, seen: Target) -> Target | None:
        """Switch a target on again that the service has switched off. Return None if it was changed meanwhile."""
        return self._update(
            seen,
            f"SET #enabled = :on REMOVE {_FAILING}, slow, {_SWITCHED_OFF}",
            {":on": True, ":off": False, ":at": timestamp_text(seen.health.switched_off_at)},
            "switchedOffAt = :at AND #enabled = :off",
        )

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

    def _replace(self, seen: AccountTargets, wanted: AccountTargets) -> None:
        """Write the difference. Raise `Conflict` if anything that was seen has changed, or is being changed."""
        if wanted == seen:
            return
        revision: dict[str, Any] = {
            "Key": to_item({"account": seen.account, "target": PREFIX}),
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
                raise Conflict(seen.account) from None
            raise


def _wanted(seen: AccountTargets, targets: Sequence[Target]) -> AccountTargets:
    """Return these targets with what the stored ones keep. Raise `InvalidTarget`."""
    for target in targets:
        check_target(target)
    if len(targets) > MOST_TARGETS:
        raise InvalidTarget("targets", f"at most {MOST_TARGETS} targets an account are allowed")
    revision = seen.revision + 1
    kept = [_kept(seen.find(target.target_id), target, revision) for target in targets]
    kept.sort(key=lambda target: target.target_id)
    _check_urls(kept)
    return seen if kept == list(seen.targets) else replace(seen, targets=kept, revision=revision)


def _check_urls(targets: Sequence[Target]) -> None:
    seen: set[tuple[str, EventType]] = set()
    for target in targets:
        key = url_key(target.url)
        for event_type in target.event_types:
            if (key, event_type) in seen:
                raise InvalidTarget("targetUri", f"the account has another target with this URL for {event_type}")
            seen.add((key, event_type))


def _kept(known: Target | None, target: Target, revision: int) -> Target:
    target = replace(target, url=normalised(target.url), event_types=ordered(target.event_types))
    if known is None:
        return replace(target, secrets=target.secrets or (new_secret(),), revision=revision, begun=revision)
    if settings_of(known) == settings_of(target):
        return known
    begins_anew = (target.enabled and not known.enabled) or target.url != known.url
    health, begun = (Health(), revision) if begins_anew else (known.health, known.begun)
    return replace(target, secrets=known.secrets, health=health, revision=revision, begun=begun)


def _changes(seen: AccountTargets, wanted: AccountTargets) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the writes of a transaction that lead from one to the other: each a kind and its parameters."""
    for target in wanted.targets:
        known = seen.find(target.target_id)
        if known is None:
            fields = settings_of(target) | {
                "secrets": secret_items(target.secrets),
                "revision": target.revision,
                "begun": target.begun,
            }
            yield (
                "Put",
                {"Item": key_of(target) | to_item(fields), "ConditionExpression": "attribute_not_exists(account)"},
            )
        elif known.revision != target.revision:
            yield "Update", _settings_update(known, target)
    for target in seen.targets:
        if wanted.find(target.target_id) is None:
            yield "Delete", {"Key": key_of(target)}


def _settings_update(known: Target, target: Target) -> dict[str, Any]:
    update = _SETTINGS if target.health == known.health else f"{_SETTINGS} REMOVE {_FAILING}, slow, {_SWITCHED_OFF}"
    condition = "#enabled = :seen"
    values = {f":{name}": value for name, value in settings_of(target).items()}
    values |= {":seen": known.enabled, ":revision": target.revision, ":begun": target.begun}
    return {
        "Key": key_of(target),
        "ConditionExpression": condition,
        "UpdateExpression": update,
    } | update_options(update + condition, values)


def _of_account(account: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "account = :account",
        "ExpressionAttributeValues": to_item({":account": account}),
    }
