"""Notices that tell of nothing that happened: what "Send test" posts, in the very format of the real ones."""

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
_NOBODYS = uuid.UUID(int=0)


def example_event(account: str, event: EventType, now: datetime) -> Event:
    """A notice of that event, which says of itself that it is a test. No two are about the same backup.

    All are of one server policy: where incidents are opened, the test of a success closes what a failure's opened.
    """
    facts: dict[str, Any] = {
        "account_alias": account,
        "server_id": "TEST-MESSAGE",
        "server_policy_id": str(_NOBODYS),
        "account_policy_id": str(_NOBODYS),
        "account_policy_name": "This is a test, no backup was made",
        "storage_region": "NONE",
    }
    timestamp = Timestamp.of(now)
    if event is EventType.MISSING:
        return BackupMissed(**facts, expected_date=timestamp)
    if event is EventType.RECOVERED:
        return BackupRecovered(
            **facts,
            restore_point_id=str(uuid.uuid4()),
            backup_finished_date=timestamp,
            failing_since_date=Timestamp.of(now - timedelta(days=1)),
            failed=1,
            missed=0,
        )
    return BackupFinished(
        **facts,
        backup_started_date=timestamp,
        backup_finished_date=timestamp,
        restore_point_id=str(uuid.uuid4()),
        restore_point_creation_status=_STATUS_OF_EVENT[event],
    )
