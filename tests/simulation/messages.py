"""The product's messages of the oracle's facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backup_webhooks.events.messages import BackupFinished, BackupStarted, BackupStatus, ServerPolicyChanged
from backup_webhooks.events.timestamps import Timestamp

from tests.simulation.oracle import Change, End, Fact, Start
from tests.simulation.schedules import Interval, Schedule, WallClock

_IDENTITY = {"server_id": "server", "account_policy_id": "account policy", "storage_region": "US WEST"}
_BACKUP: dict[str, Any] = {"account_alias": "TEST", "account_policy_name": "Simulated"}
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


def message_of(policy_id: str, fact: Fact) -> BackupStarted | BackupFinished | ServerPolicyChanged:
    """Return the message by which the server policy's source reports the fact."""
    identity: dict[str, Any] = _IDENTITY | {"server_policy_id": policy_id}
    match fact:
        case Start():
            return BackupStarted(
                **identity,
                **_BACKUP,
                backup_started_date=Timestamp.of(fact.started_at),
                restore_point_id=fact.restore_point,
            )
        case End():
            return BackupFinished(
                **identity,
                **_BACKUP,
                backup_started_date=Timestamp.of(fact.started_at),
                backup_finished_date=Timestamp.of(fact.finished_at),
                restore_point_id=fact.restore_point,
                restore_point_creation_status=BackupStatus(fact.status),
            )
        case Change():
            return ServerPolicyChanged(
                **identity,
                **_schedule_fields(fact.schedule),
                longest_run_minutes=fact.longest_run // _MINUTE if fact.longest_run else None,
                good_backup_age_hours=fact.good_age // _HOUR if fact.good_age else None,
                clc_account_alias="TEST",
                name="Simulated",
                account_policy_status="ACTIVE",
                server_policy_status="ACTIVE" if fact.active else "INACTIVE",
                changed_date=Timestamp.of(fact.changed_at),
            )


def _schedule_fields(schedule: Schedule) -> dict[str, Any]:
    match schedule:
        case WallClock(expression, zone):
            return {"backup_schedule": expression, "timezone": zone}
        case Interval(length):
            return {"backup_interval_hours": length // _HOUR}
