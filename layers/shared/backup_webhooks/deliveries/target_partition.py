"""DeliveriesTable, beside the log: a partition for each target, with what is to be told to it later.

Partition `accountDay`: `{account}#{event}#{targetId}`. Never that of a day of the log, whatever the account is called:
no date is an id.
"""

from __future__ import annotations

from typing import Any

from backup_webhooks.aws.items import to_item


def partition_of(account: str, event_type: str, target_id: str) -> str:
    """The target's partition."""
    return f"{account}#{event_type}#{target_id}"


def key_in(partition: str, entry: str) -> dict[str, Any]:
    """The key of an entry there, in wire form."""
    return to_item({"accountDay": partition, "delivery": entry})
