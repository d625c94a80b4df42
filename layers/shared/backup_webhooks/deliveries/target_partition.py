"""DeliveriesTable beside the log: a partition for each target and event type, with their groups and reminders.

Partition `accountDay`: `{account}#{event type}#{targetId}`. It is never that of a day of the log, whatever the account
alias is: no date is a target's id.
"""

from __future__ import annotations

from typing import Any, Protocol

from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import EventType


class OfTarget(Protocol):
    """A value that names a target and an event type: a delivery, or a message about later ones."""

    @property
    def account(self) -> str: ...
    @property
    def event_type(self) -> EventType: ...
    @property
    def target_id(self) -> str: ...


def partition_of(value: OfTarget) -> str:
    """Return the partition of the target and the event type that the value names."""
    return f"{value.account}#{value.event_type}#{value.target_id}"


def key_in(partition: str, entry: str) -> dict[str, Any]:
    """Return the key of an entry there, in wire form."""
    return to_item({"accountDay": partition, "delivery": entry})
