"""Test events: what "Send test" posts, in the format of real events."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupMissed,
    BackupRecovered,
    BackupStatus,
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
    timestamp = Timestamp.of(now)
    if event_type is EventType.MISSING:
        return BackupMissed(**identity, expected_date=timestamp)
    if event_type is EventType.RECOVERED:
        return BackupRecovered(
            **identity,
            restore_point_id=str(uuid.uuid4()),
            backup_finished_date=timestamp,
            failing_since_date=Timestamp.of(now - timedelta(days=1)),
            failed=1,
            missed=0,
        )
    return BackupFinished(
        **identity,
        backup_started_date=timestamp,
        backup_finished_date=timestamp,
        restore_point_id=str(uuid.uuid4()),
        restore_point_creation_status=_STATUS_OF_EVENT[event_type],
    )
