"""Factories of server policies and of their backups, and the verdict on their misses."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import batched
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupStarted,
    BackupStatus,
    ServerPolicyChanged,
)
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local.stack import Stack

POLICY_ID = "e6ac019b-c646-359a-83a4-b81b5cc1c512"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> Timestamp:
    """Return the timestamp of text such as `12-20 17:00` (2018, UTC), if need be with seconds, or a year and a zone."""
    if text[2] == "-":
        text = f"2018-{text}"
    return Timestamp.parse(text if "+" in text[10:] or text.endswith("Z") else f"{text}Z")


def changed(on: str, **changes: Any) -> ServerPolicyChanged:
    """Return the message of a policy that is active since `on`, with a backup daily at 17:00 UTC."""
    fields: dict[str, Any] = {
        "server_policy_id": POLICY_ID,
        "account_policy_id": "6c8a4b1f-4d68-4d2b-9a1c-1a7a3a2a8d22",
        "name": "TestAccountPolicyName20181228013921",
        "clc_account_alias": "TEST",
        "server_id": "testServerId20181228013921",
        "storage_region": "US WEST",
        "account_policy_status": "ACTIVE",
        "server_policy_status": "ACTIVE",
        "changed_date": at(on),
        "backup_schedule": "0 0 17 * * ?",
    }
    return ServerPolicyChanged(**(fields | changes))


def every(hours: int, on: str, **changes: Any) -> ServerPolicyChanged:
    """Return the message of an active policy with each backup so many hours after the end of the one before."""
    return changed(on, backup_schedule=None, backup_interval_hours=hours, **changes)


def _backup(**fields: Any) -> dict[str, Any]:
    return {
        "account_alias": "TEST",
        "server_id": "testServerId20181228013921",
        "server_policy_id": POLICY_ID,
        "account_policy_id": "6c8a4b1f-4d68-4d2b-9a1c-1a7a3a2a8d22",
        "account_policy_name": "TestAccountPolicyName20181228013921",
        "storage_region": "US WEST",
    } | fields


def started(on: str, **fields: Any) -> BackupStarted:
    return BackupStarted(**_backup(backup_started_date=at(on), **fields))


def finished(start: str, end: str, status: str = "SUCCESS", **fields: Any) -> BackupFinished:
    return BackupFinished(
        **_backup(
            backup_started_date=at(start),
            backup_finished_date=at(end),
            restore_point_id=f"rp {start}",
            restore_point_creation_status=BackupStatus(status),
            **fields,
        )
    )


def tracked(*messages: PolicyMessage) -> TrackedPolicy:
    """Return what is known after these messages, in this order."""
    policy = TrackedPolicy("TEST", POLICY_ID)
    for message in messages:
        policy = policy.after(message)
    return policy


def no_policies(stack: Stack) -> None:
    """Empty ServerPoliciesTable of server policies and of the watermark."""
    client, table = stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"]
    for page in client.get_paginator("scan").paginate(TableName=table, ProjectionExpression="account, serverPolicyId"):
        for batch in batched(page["Items"], 25, strict=False):
            client.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": key}} for key in batch]})


def record(store: ServerPoliciesStore, *messages: PolicyMessage) -> None:
    """Store what is known after these messages, as the notifier does."""
    for message in messages:
        store.save(store.load(message.account_alias, message.server_policy_id).after(message))


def misses(policy: TrackedPolicy, as_of: str, resumed_at: datetime = LONG_AGO) -> list[str]:
    """Return the scheduled times that are reported as missed if all starts up to `as_of` are recorded."""
    missed = []
    while policy.is_missed(at(as_of)):
        assert policy.expected_at is not None
        missed.append(f"{policy.expected_at:%m-%d %H:%M}")
        policy = policy.after_miss(resumed_at)
    return missed
