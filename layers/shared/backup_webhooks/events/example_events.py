"""Test events: what "Send test" posts, in the format of real events."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStale,
    BackupStatus,
    BackupUnfinished,
    Event,
    EventType,
)
from backup_webhooks.events.timestamps import Timestamp

_STATUS_OF_EVENT = {
    EventType.FAILURE: BackupStatus.FAILED,
    EventType.PARTIAL_SUCCESS: BackupStatus.PARTIAL_SUCCESS,
    EventType.SUCCESS: BackupStatus.SUCCESS,
}
_NIL_ID = str(uuid.UUID(int=0))


def example_event(account: str, event_type: EventType, now: datetime) -> Event:
    """Return an event of that type that says that it is a test. Each test event is about a different backup.

    All share one server policy: at a destination with incidents, a test of a success closes the incident of a failure.
    """
    identity: dict[str, Any] = {
        "account_alias": account,
        "server_id": "TEST-MESSAGE",
        "server_policy_id": _NIL_ID,
        "account_policy_id": _NIL_ID,
        "account_policy_name": "This is a test, no backup was made",
        "storage_region": "NONE",
    }
    timestamp, day_before = Timestamp.of(now), Timestamp.of(now - timedelta(days=1))
    match event_type:
        case EventType.MISSING:
            return BackupMissed(**identity, expected_date=timestamp)
        case EventType.UNFINISHED:
            return BackupUnfinished(
                **identity,
                backup_started_date=day_before,
                run_limit_date=timestamp,
                unfinished_since_date=timestamp,
            )
        case EventType.STALE:
            return BackupStale(
                **identity, since_date=day_before, age_limit_date=timestamp, last_success_date=day_before
            )
        case EventType.RECOVERED:
            return BackupRecovered(
                **identity,
                restore_point_id=str(uuid.uuid4()),
                backup_finished_date=timestamp,
                failing_since_date=day_before,
                failed=1,
            )
        case _:
            return BackupFinished(
                **identity,
                backup_started_date=timestamp,
                backup_finished_date=timestamp,
                restore_point_id=str(uuid.uuid4()),
                restore_point_creation_status=_STATUS_OF_EVENT[event_type],
            )
