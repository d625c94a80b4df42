"""Backups as reports need them: one record of each backup that ended, and of each event that missed_backups found.

A server policy's state keeps only recent facts, so a report is made from these records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from backup_webhooks.events.messages import (
    BackupFinished,
    BackupUnfinished,
    EventType,
    RecordedEvent,
    identity_of,
    policy_mark,
)


class BackupResult(StrEnum):
    """How a backup ended, in the backup service's words, or what missed_backups found."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    MISSED = "MISSED"
    UNFINISHED = "UNFINISHED"
    STALE = "STALE"


_FOUND: Mapping[EventType | None, BackupResult] = {
    EventType.MISSING: BackupResult.MISSED,
    EventType.UNFINISHED: BackupResult.UNFINISHED,
    EventType.STALE: BackupResult.STALE,
}


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that ended, was missed or is unfinished, or a last success that is too old. Times are aware, in UTC.

    `occurred_at`: its end, the expected start that was missed, or when its limit passed. `recorded_at`: when it was
    first recorded. `started_at` and `restore_point_id` are None where no run is meant or known. `counts`: files and
    bytes, by `COUNTS`, as far as the message has them.
    """

    account: str
    server_id: str
    server_policy_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    result: BackupResult
    occurred_at: datetime
    recorded_at: datetime
    started_at: datetime | None = None
    restore_point_id: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, event: RecordedEvent, recorded_at: datetime) -> Self:
        """Return the record of the event's backup. `recorded_at`: the time now."""
        identity = identity_of(event)
        ended = event if isinstance(event, BackupFinished) else None
        ran = event if isinstance(event, BackupFinished | BackupUnfinished) else None
        return cls(
            account=identity.pop("account_alias"),
            **identity,
            result=BackupResult(ended.restore_point_creation_status) if ended else _FOUND[event.event_type],
            occurred_at=event.run_limit_date if isinstance(event, BackupUnfinished) else event.occurred_at,
            recorded_at=recorded_at,
            started_at=ran.backup_started_date if ran else None,
            restore_point_id=ran.restore_point_id if ran else None,
            counts=ended.counts if ended else {},
        )

    @property
    def subject_id(self) -> str:
        """Return the restore point's or the server policy's id, which is unique together with time and result.

        A restore point's is unique only with its server policy's mark.
        """
        if self.restore_point_id is None:
            return self.server_policy_id
        mark = policy_mark(self.restore_point_id, self.server_policy_id)
        return f"{self.restore_point_id}.{mark}" if mark else self.restore_point_id
