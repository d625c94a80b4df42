"""Facts of an event that the FAQ's sentence lacks: how long a run took, how much it moved, and the last success."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from msgspec import Struct

from backup_webhooks.events.messages import BackupFinished, BackupRecovered, BackupUnfinished, Event
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.payloads.text import utc_text

_HOUR = timedelta(hours=1)
_FEW_HOURS = 48
_SIZES = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "KB": 10**3}


class Facts(Struct, frozen=True):
    """The facts that are known of an event; None where one is not, or where it would say nothing.

    `seconds`: from the start to the end. `transferred_bytes` and `transferred_files`: what the run moved to the
    storage. `last_success_at`: the last success before the event, and its age then, in hours.
    """

    seconds: int | None = None
    transferred_bytes: int | None = None
    transferred_files: int | None = None
    last_success_at: datetime | None = None
    age_hours: float | None = None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Return the facts of the event."""
        if isinstance(event, BackupRecovered):
            return cls()
        ended = event if isinstance(event, BackupFinished) else None
        counts = ended.counts if ended else {}
        took = ended.backup_finished_date - ended.backup_started_date if ended else None
        at = event.run_limit_date if isinstance(event, BackupUnfinished) else event.occurred_at
        last_success_at = event.last_success_date
        return cls(
            seconds=int(took.total_seconds()) if took is not None and took >= timedelta() else None,
            transferred_bytes=counts.get("bytes_transferred_to_storage"),
            transferred_files=counts.get("files_transferred_to_storage"),
            last_success_at=last_success_at,
            age_hours=round((at - last_success_at) / _HOUR, 1) if last_success_at else None,
        )

    def fields(self) -> dict[str, str | int | float]:
        """Return the facts as JSON fields. Dates are ISO 8601."""
        fields = {
            "durationSeconds": self.seconds,
            "bytes": self.transferred_bytes,
            "files": self.transferred_files,
            "lastSuccessDate": iso_milliseconds(self.last_success_at) if self.last_success_at else None,
            "lastSuccessAgeHours": self.age_hours,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def words(self) -> Sequence[tuple[str, str]]:
        """Return the facts as labels and values for people."""
        words = [
            ("Duration", None if self.seconds is None else str(timedelta(seconds=self.seconds))),
            ("Transferred", self._transferred()),
            ("Last success", self.last_success_at and f"{utc_text(self.last_success_at)}, {self._age()} before"),
        ]
        return [(label, value) for label, value in words if value]

    def _transferred(self) -> str | None:
        size = None if self.transferred_bytes is None else _size(self.transferred_bytes)
        files = None if self.transferred_files is None else f"{self.transferred_files:,} files"
        return ", ".join(text for text in (size, files) if text) or None

    def _age(self) -> str:
        hours = self.age_hours or 0
        return f"{hours:.0f} h" if hours < _FEW_HOURS else f"{hours / 24:.0f} days"


def _size(number: int) -> str:
    """Return a number of bytes as people read it, such as `1.8 GB` (of 1,000 MB)."""
    return next((f"{number / size:.1f} {unit}" for unit, size in _SIZES.items() if number >= size), f"{number} bytes")
