"""What customers set: for each event of an account its targets, changed as a whole and by one person at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backup_webhooks.errors import InvalidTarget
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.signing import SigningSecret, new_secret
from backup_webhooks.stores.items import from_item, to_item
from backup_webhooks.stores.target_items import (
    is_target,
    key_of,
    secret_items,
    settings_of,
    target_of,
    update_options,
)
from backup_webhooks.targets import MOST_TARGETS, Target, check_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SETTINGS = "SET #url = :url, #format = :format, #delivery = :delivery, #enabled = :enabled, #headers = :headers"
_FAILING = "consecutiveFailures, failingSince, confirmedAt, lastStatus, lastReason, slow"
_SWITCHED_OFF = "switchedOffAt, switchedOffReason"
# A target's health may be written in the same moment, which fails a transaction too.
_TRIES = 5


class Changed(Exception):
    """Somebody else has changed the event's targets since."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The targets of one event of an account. `revision` counts the changes that customers made to them."""

    account: str
    event: WebhookEvent
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


@dataclass(frozen=True, slots=True)
class ConfigurationsStore:
    """Reads and writes configurations. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Mapping[WebhookEvent, Configuration]:
        """The configuration of each event, with or without targets (a consistent read)."""
        items = self._items(account, "Backup.")
        return {event: _configuration(account, event, items) for event in WebhookEvent}

    def load(self, account: str, event: WebhookEvent) -> Configuration:
        """The configuration of one event (a consistent read)."""
        return _configuration(account, event, self._items(account, f"{event}#"))

    def change(
        self,
        account: str,
        event: WebhookEvent,
        edit: Callable[[Configuration], Sequence[Target]],
        expected_version: str | None = None,
    ) -> Configuration:
        """Put what `edit` makes of the event's targets in their place, all at once; answers with what is stored then.

        `edit` may be called several times. A target that is new has a signing secret, its own or a new one; secrets
        and health of the others stay, but a target that is switched on again begins anew. Raises `Changed` where the
        version is not the expected one, or where others kept coming first; `InvalidTarget`; and what `edit` raises.
        """
        for _ in range(_TRIES):
            seen = self.load(account, event)
            if expected_version not in (None, seen.version):
                raise Changed(event)
            wanted = [target if target.secrets else replace(target, secrets=(new_secret(),)) for target in edit(seen)]
            _check(seen, wanted)
            if self._replace(seen, wanted):
                return self.load(account, event)
        raise Changed(event)

    def save(self, target: Target) -> SigningSecret | None:
        """Store the target's settings, over those of one with the same URL for the same event.

        Answers with the signing secret if the target is new, to be shown this once: it is told nowhere else. Raises
        as `change` does.
        """
        target = replace(target, secrets=(new_secret(),))
        stored = self.change(target.account, target.event, lambda seen: seen.having(target)).find(target.target_id)
        # By its value, not by what was there before: an answer that was lost makes us write twice.
        return target.secrets[0] if stored and stored.secrets[:1] == target.secrets else None

    def remove(self, target: Target) -> None:
        """Remove the target, its secrets and its health. Nothing happens where it is gone already."""
        self.change(target.account, target.event, lambda seen: seen.without(target.target_id))

    def knows(self, account: str) -> bool:
        """Whether anything was ever set for the account."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def _items(self, account: str, prefix: str) -> Sequence[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table, ConsistentRead=True, **_of_account(account, prefix)
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _replace(self, seen: Configuration, wanted: Sequence[Target]) -> bool:
        """Whether it was done; not if anything that was seen has changed."""
        changes = list(_changes(seen, wanted))
        if not changes:
            return True
        revision: dict[str, Any] = {
            "Key": to_item({"account": seen.account, "target": f"{seen.event}#"}),
            "ConditionExpression": "revision = :seen" if seen.revision else "attribute_not_exists(revision)",
            "UpdateExpression": "SET revision = :next",
            "ExpressionAttributeValues": to_item(
                {":next": seen.revision + 1} | ({":seen": seen.revision} if seen.revision else {})
            ),
        }
        writes: Any = [{kind: {"TableName": self.table} | write} for kind, write in [("Update", revision), *changes]]
        try:
            self.client.transact_write_items(TransactItems=writes)
        except self.client.exceptions.TransactionCanceledException:
            return False
        return True


def _changes(seen: Configuration, wanted: Sequence[Target]) -> Iterable[tuple[str, dict[str, Any]]]:
    """What leads from one to the other: each a kind of write, and its parameters."""
    for target in wanted:
        known = seen.find(target.target_id)
        if known is None:
            fields = settings_of(target) | {"secrets": secret_items(target.secrets)}
            yield (
                "Put",
                {"Item": key_of(target) | to_item(fields), "ConditionExpression": "attribute_not_exists(account)"},
            )
        elif settings_of(known) != settings_of(target):
            yield "Update", _update(known, target)
    kept = {target.target_id for target in wanted}
    for target in seen.targets:
        if target.target_id not in kept:
            yield "Delete", {"Key": key_of(target)}


def _update(known: Target, target: Target) -> dict[str, Any]:
    # Switched on again: what led to its being switched off is no longer held against it.
    update = f"{_SETTINGS} REMOVE {_FAILING}, {_SWITCHED_OFF}" if target.enabled and not known.enabled else _SETTINGS
    condition = "#enabled = :seen"
    values = {f":{name}": value for name, value in settings_of(target).items()} | {":seen": known.enabled}
    return {
        "Key": key_of(target),
        "ConditionExpression": condition,
        "UpdateExpression": update,
    } | update_options(update + condition, values)


def _check(seen: Configuration, wanted: Sequence[Target]) -> None:
    for target in wanted:
        check_target(target)
    if len(wanted) > MOST_TARGETS:
        raise InvalidTarget("targetUris", f"at most {MOST_TARGETS} targets an event are allowed")
    if len({target.target_id for target in wanted}) < len(wanted):
        raise InvalidTarget("targetUris", "the same targetUri is given twice")
    assert all((target.account, target.event) == (seen.account, seen.event) for target in wanted)  # noqa: S101


def _of_account(account: str, prefix: str = "") -> dict[str, Any]:
    condition, values = "account = :account", {":account": account}
    if prefix:
        condition, values = f"{condition} AND begins_with(target, :prefix)", values | {":prefix": prefix}
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": to_item(values)}


def _configuration(account: str, event: WebhookEvent, items: Sequence[dict[str, Any]]) -> Configuration:
    of_event = [item for item in items if item["target"].startswith(f"{event}#")]
    revisions = [int(item["revision"]) for item in of_event if not is_target(item)]
    targets = [target_of(item) for item in of_event if is_target(item)]
    return Configuration(account, event, targets, *revisions)
