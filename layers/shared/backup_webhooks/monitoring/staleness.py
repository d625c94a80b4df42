"""Staleness: since when a server policy lacks a success, and whether that was reported. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from msgspec import Struct
from msgspec.structs import replace


class Staleness(Struct, frozen=True):
    """The times from which the age of a server policy's last success counts.

    `counts_from`: its first schedule, or a later time from which its success is expected anew; None before a schedule.
    `paused_at`: since when nothing is expected of it; None while its schedule counts. `reported_since`: the time from
    which the reported age counted; None before the first report.
    """

    counts_from: datetime | None = None
    paused_at: datetime | None = None
    reported_since: datetime | None = None

    def since(self, last_success_at: datetime | None) -> datetime | None:
        """Return the time from which the age counts, or None before a schedule."""
        return self.counts_from and max(self.counts_from, last_success_at or self.counts_from)

    def is_reported(self, last_success_at: datetime | None) -> bool:
        """Return whether it was reported that no success came since."""
        since = self.since(last_success_at)
        return self.reported_since is not None and since is not None and since <= self.reported_since

    def paused(self, at: datetime) -> Self:
        """Return the times once nothing is expected any more."""
        return self if self.counts_from is None or self.paused_at else replace(self, paused_at=at)

    def counting(self, counts_from: datetime | None) -> Self:
        """Return the times while a schedule counts; from `counts_from` on, or None to leave that as it is."""
        return replace(self, counts_from=counts_from or self.counts_from, paused_at=None)
