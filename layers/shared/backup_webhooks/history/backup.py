"""Backups as they are kept for reports: one record of each that ended, and of each that never started.

Not the server policy's state, which forgets: these are the facts of which a day's report is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from backup_webhooks.events.messages import BackupFinished, RecordedEvent

# The backup service's own fields of a restore point, as `BackupFinished` has them.
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
# What JSON's readers agree on, and far more than the bytes of any backup.
_LARGEST = 2**53


class BackupResult(StrEnum):
    """What became of a backup: how it completed (the backup service's own words), or that it never started."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    MISSED = "MISSED"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that ended, or a scheduled start that was missed. Times are aware, in UTC.

    `occurred_at`: its end, or the scheduled start that was missed. `recorded_at`: when we learnt of it first.
    `started_at` and `restore_point_id` are None for one that never started. `counts`: files and bytes, by `COUNTS`, as
    far as the message has them.
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
        """The backup that the message tells of."""
        ended = event if isinstance(event, BackupFinished) else None
        return cls(
            account=event.account_alias,
            server_id=event.server_id,
            server_policy_id=event.server_policy_id,
            account_policy_id=event.account_policy_id,
            account_policy_name=event.account_policy_name,
            storage_region=event.storage_region,
            result=BackupResult(ended.restore_point_creation_status) if ended else BackupResult.MISSED,
            occurred_at=event.occurred_at,
            recorded_at=recorded_at,
            started_at=ended.backup_started_date if ended else None,
            restore_point_id=ended.restore_point_id if ended else None,
            counts=_counts(ended) if ended else {},
        )

    @property
    def subject_id(self) -> str:
        """What it is about, unique together with its time and its result."""
        return self.restore_point_id or self.server_policy_id


def _counts(ended: BackupFinished) -> Mapping[str, int]:
    """The counts that can be used: not below 0. The service writes some as `1.81117417e+08`."""
    numbers = {name: getattr(ended, name) for name in COUNTS}
    return {
        name: int(number)
        for name, number in numbers.items()
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= _LARGEST
    }
