"""What customers set: for each event of an account its targets, changed as a whole and by one person at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import replace
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Changed, Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.items import (
    is_target,
    key_of,
    secret_items,
    settings_of,
    target_of,
    update_options,
)
from backup_webhooks.targets.signing import SigningSecret, new_secret
from backup_webhooks.targets.target import MOST_TARGETS, Target, check_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SETTINGS = (
    "SET #url = :url, #format = :format, destinationKey = :destinationKey, #delivery = :delivery, "
    "#enabled = :enabled, #headers = :headers, #noise = :noise, includeLog = :includeLog"
)
_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason, slow"
_SWITCHED_OFF = "switchedOffAt, switchedOffReason"
# A target's health may be written in the same moment, which fails a transaction too.
_TRIES = 5
_PAUSE_SECONDS = 0.02


class EventTargets(Struct, frozen=True):
    """The targets of one event of an account. `revision` counts the changes that customers made to them."""

    account: str
    event_type: EventType
    targets: Sequence[Target] = ()
    revision: int = 0

    @property
    def version(self) -> str:
        """By which one who has seen it is known: another after each change, and after a target was switched off."""
        return f"{self.revision}.{sum(target.enabled for target in self.targets)}"

    def find(self, target_id: str) -> Target | None:
        """The target with that id; None where there is none."""
        return next((target for target in self.targets if target.target_id == target_id), None)

    def having(self, target: Target) -> Sequence[Target]:
        """The targets with this one among them, in the place of the one with the same URL."""
        others = [other for other in self.targets if other.target_id != target.target_id]
        return [*others, target]

    def without(self, target_id: str) -> Sequence[Target]:
        """The targets but that one."""
        return [target for target in self.targets if target.target_id != target_id]


class TargetsStore(Struct, frozen=True):
    """Reads and writes configurations. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Mapping[EventType, EventTargets]:
        """The configuration of each event, with or without targets (a consistent read)."""
        items = self._items(account, "Backup.")
        return {event_type: _configuration(account, event_type, items) for event_type in EventType}

    def load(self, account: str, event_type: EventType) -> EventTargets:
        """The configuration of one event (a consistent read)."""
        return _configuration(account, event_type, self._items(account, f"{event_type}#"))

    def change(
        self,
        account: str,
        event_type: EventType,
        edit: Callable[[EventTargets], Sequence[Target]],
        expected_version: str | None = None,
    ) -> EventTargets:
        """Put what `edit` makes of the event's targets in their place, all at once; answers with what is stored then.

        `edit` may be called several times. A target that is new has a signing secret, its own or a new one; secrets
        and health of the others stay, but a target that is switched on again begins anew. Raises `Changed` where the
        version is not the expected one; `Conflict` where others kept coming first; `InvalidTarget`; and what `edit`
        raises.
        """
        for attempt in range(_TRIES):
            seen = self.load(account, event_type)
            if expected_version not in (None, seen.version):
                raise Changed(event_type)
            wanted = _wanted(seen, edit(seen))
            if self._replace(seen, wanted):
                return wanted
            time.sleep(random.uniform(0, _PAUSE_SECONDS * (attempt + 1)))  # noqa: S311 - spreads tries, guards nothing
        raise Conflict(event_type)

    def save(self, target: Target) -> SigningSecret | None:
        """Store the target's settings, over those of one with the same URL for the same event.

        Answers with the signing secret if the target is new, to be shown this once: it is told nowhere else. Raises
        as `change` does.
        """
        target = replace(target, secrets=(new_secret(),))
        stored = self.change(target.account, target.event_type, lambda seen: seen.having(target)).find(target.target_id)
        # By its value, not by what was there before: an answer that was lost makes us write twice.
        return target.secrets[0] if stored and stored.secrets == target.secrets else None

    def remove(self, target: Target) -> None:
        """Remove the target, its secrets and its health. Nothing happens where it is gone already."""
        self.change(target.account, target.event_type, lambda seen: seen.without(target.target_id))

    def knows(self, account: str) -> bool:
        """Whether anything was ever set for the account."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def _items(self, account: str, prefix: str) -> Sequence[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table, ConsistentRead=True, **_of_account(account, prefix)
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _replace(self, seen: EventTargets, wanted: EventTargets) -> bool:
        """Whether it was done; not if anything that was seen has changed, or is being changed."""
        if wanted == seen:
            return True
        changes = _changes(seen, wanted)
        revision: dict[str, Any] = {
            "Key": to_item({"account": seen.account, "target": f"{seen.event_type}#"}),
            "ConditionExpression": "revision = :seen" if seen.revision else "attribute_not_exists(revision)",
            "UpdateExpression": "SET revision = :next",
            "ExpressionAttributeValues": to_item(
                {":next": wanted.revision} | ({":seen": seen.revision} if seen.revision else {})
            ),
        }
        writes: Any = [{kind: {"TableName": self.table} | write} for kind, write in [("Update", revision), *changes]]
        try:
            self.client.transact_write_items(TransactItems=writes)
        except self.client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
            if not reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise
            return False
        return True


def _wanted(seen: EventTargets, targets: Sequence[Target]) -> EventTargets:
    """What there will be: these targets, with what we keep of those that are there. Raises `InvalidTarget`."""
    for target in targets:
        check_target(target)
        assert (target.account, target.event_type) == (seen.account, seen.event_type)  # noqa: S101 - no request can say otherwise
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
    # Switched on again: what led to its being switched off is no longer held against it.
    health = Health() if target.enabled and not known.enabled else known.health
    return replace(target, secrets=known.secrets, health=health)


def _changes(seen: EventTargets, wanted: EventTargets) -> Iterable[tuple[str, dict[str, Any]]]:
    """What leads from one to the other: each a kind of write, and its parameters."""
    for target in wanted.targets:
        known = seen.find(target.target_id)
        if known is None:
            fields = settings_of(target) | {"secrets": secret_items(target.secrets)}
            yield (
                "Put",
                {"Item": key_of(target) | to_item(fields), "ConditionExpression": "attribute_not_exists(account)"},
            )
        elif settings_of(known) != settings_of(target):
            yield "Update", _update(known, target)
    for target in seen.targets:
        if wanted.find(target.target_id) is None:
            yield "Delete", {"Key": key_of(target)}


def _update(known: Target, target: Target) -> dict[str, Any]:
    update = _SETTINGS if target.health == known.health else f"{_SETTINGS} REMOVE {_FAILING}, {_SWITCHED_OFF}"
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


def _configuration(account: str, event_type: EventType, items: Sequence[dict[str, Any]]) -> EventTargets:
    of_event = [item for item in items if item["target"].startswith(f"{event_type}#")]
    revisions = [int(item["revision"]) for item in of_event if not is_target(item)]
    targets = [target_of(item) for item in of_event if is_target(item)]
    return EventTargets(account, event_type, targets, *revisions)
