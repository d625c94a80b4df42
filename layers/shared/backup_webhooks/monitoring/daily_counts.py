"""What became of a server policy's backups day by day (UTC): what its strip and the account's chart are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self

from msgspec import Struct

from backup_webhooks.events.messages import BackupStatus

# What is shown.
DAYS = 30
# What is kept: a server's clock that is wrong for once must not push out what is shown.
_MOST_KEPT = DAYS + 5


class DayCounts(Struct, frozen=True):
    """How many backups of a day ended how, and how many scheduled starts of that day were missed."""

    success: int = 0
    partial_success: int = 0
    failed: int = 0
    missed: int = 0

    def __add__(self, other: Self) -> Self:
        """Both together."""
        # Written out: a chart of 5,000 servers adds 150,000 of them, and `astuple` would take a second for that.
        return type(self)(
            self.success + other.success,
            self.partial_success + other.partial_success,
            self.failed + other.failed,
            self.missed + other.missed,
        )


MISSED = DayCounts(missed=1)
OF_STATUS: Mapping[BackupStatus, DayCounts] = {
    BackupStatus.SUCCESS: DayCounts(success=1),
    BackupStatus.PARTIAL_SUCCESS: DayCounts(partial_success=1),
    BackupStatus.FAILED: DayCounts(failed=1),
    # Nobody is told of it; nothing went wrong, and nothing was backed up.
    BackupStatus.CANCELLED: DayCounts(),
}

type DailyCounts = Mapping[date, DayCounts]
"""The results by day, UTC, on which a backup ended, or was to start and did not; days without any are left out."""


def counted(days: DailyCounts, timestamp: datetime, results: DayCounts) -> DailyCounts:
    """The days with these results on the day of that moment."""
    if results == DayCounts():
        return days
    day = timestamp.astimezone(UTC).date()
    more = dict(days) | {day: days.get(day, DayCounts()) + results}
    return {kept: more[kept] for kept in sorted(more)[-_MOST_KEPT:]}


def last_days(days: DailyCounts, now: datetime) -> Sequence[tuple[date, DayCounts]]:
    """Each of the 30 days up to that of `now`, the oldest first, those without results too."""
    today = now.astimezone(UTC).date()
    shown = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return [(day, days.get(day, DayCounts())) for day in shown]


def summed(many: Iterable[DailyCounts]) -> DailyCounts:
    """The days of many server policies as one."""
    totals: dict[date, DayCounts] = {}
    for days in many:
        for day, results in days.items():
            totals[day] = totals[day] + results if day in totals else results
    return totals
