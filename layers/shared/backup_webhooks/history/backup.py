"""Backups as reports need them: one record of each backup that ended, and of each miss.

A server policy's state keeps only recent facts, so a report is made from these records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from backup_webhooks.events.messages import BackupFinished, RecordedEvent, identity_of

# The backup service's counts of a restore point, as `BackupFinished` has them.
COUNTS = (
    "number_of_protected_files",
    "files_transferred_to_storage",
    "bytes_transferred_to_storage",
    "files_failed_transfer_to_storage",
    "bytes_failed_to_transfer",
    "files_removed_from_disk",
    "bytes_in_storage_for_items_removed",
    "unchanged_files_not_transferred",
    "unchanged_bytes_in_storage",
)
# All JSON readers read integers up to here exactly, and no backup has as many bytes.
_LARGEST = 2**53


class BackupResult(StrEnum):
    """How a backup ended, in the backup service's words, or that it was missed."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    MISSED = "MISSED"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that ended, or an expected start that was missed. Times are aware, in UTC.

    `occurred_at`: its end, or the expected start that was missed. `recorded_at`: when it was first recorded.
    `started_at` and `restore_point_id` are None for a miss. `counts`: files and bytes, by `COUNTS`, as far as the
    message has them.
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
        ended = event if isinstance(event, BackupFinished) else None
        identity = identity_of(event)
        return cls(
            account=identity.pop("account_alias"),
            **identity,
            result=BackupResult(ended.restore_point_creation_status) if ended else BackupResult.MISSED,
            occurred_at=event.occurred_at,
            recorded_at=recorded_at,
            started_at=ended.backup_started_date if ended else None,
            restore_point_id=ended.restore_point_id if ended else None,
            counts=_counts(ended) if ended else {},
        )

    @property
    def subject_id(self) -> str:
        """Return the restore point's or the server policy's id, which is unique together with time and result."""
        return self.restore_point_id or self.server_policy_id


def _counts(ended: BackupFinished) -> Mapping[str, int]:
    """Return the usable counts, from 0 to `_LARGEST`. The backup service writes some as `1.81117417e+08`."""
    numbers = {name: getattr(ended, name) for name in COUNTS}
    return {
        name: int(number)
        for name, number in numbers.items()
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= _LARGEST
    }
