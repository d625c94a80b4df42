"""Daily counts: a server policy's results by day (UTC). The API, and so the page's strips and chart, shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self

from msgspec import Struct

from backup_webhooks.events.messages import BackupStatus

DAYS_SHOWN = 30
# More are kept than shown, so that one wrong time of a server's clock pushes out no day that is shown.
_DAYS_KEPT = DAYS_SHOWN + 5


class DayCounts(Struct, frozen=True):
    """A day's numbers: backups by how they ended, scheduled starts that were missed, and backups that did not end."""

    success: int = 0
    partial_success: int = 0
    failed: int = 0
    missed: int = 0
    unfinished: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the sums."""
        # Written out: a chart of 5,000 servers takes 150,000 additions, and `astuple` would take a second for them.
        return type(self)(
            self.success + other.success,
            self.partial_success + other.partial_success,
            self.failed + other.failed,
            self.missed + other.missed,
            self.unfinished + other.unfinished,
        )


ONE_MISSED = DayCounts(missed=1)
ONE_UNFINISHED = DayCounts(unfinished=1)
ONE_OF_STATUS: Mapping[BackupStatus, DayCounts] = {
    BackupStatus.SUCCESS: DayCounts(success=1),
    BackupStatus.PARTIAL_SUCCESS: DayCounts(partial_success=1),
    BackupStatus.FAILED: DayCounts(failed=1),
    # Not counted: nothing went wrong, and nothing was backed up.
    BackupStatus.CANCELLED: DayCounts(),
}

type DailyCounts = Mapping[date, DayCounts]
"""The counts by day, UTC: on which a backup ended, a missed one was to start, or an unfinished one started.

A day without any is left out.
"""


def with_counts(daily_counts: DailyCounts, timestamp: datetime, counts: DayCounts) -> DailyCounts:
    """Return the daily counts with these added to the timestamp's day. Only the newest 35 days are kept."""
    if counts == DayCounts():
        return daily_counts
    day = timestamp.astimezone(UTC).date()
    by_day = dict(daily_counts) | {day: daily_counts.get(day, DayCounts()) + counts}
    return {kept: by_day[kept] for kept in sorted(by_day)[-_DAYS_KEPT:]}


def last_30_days(daily_counts: DailyCounts, now: datetime) -> Sequence[tuple[date, DayCounts]]:
    """Return each of the 30 days that end with today, the oldest first, with its counts; zeros where it has none."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
    return [(day, daily_counts.get(day, DayCounts())) for day in days]


def sum_by_day(of_policies: Iterable[DailyCounts]) -> DailyCounts:
    """Return the sums of many server policies' daily counts."""
    totals: dict[date, DayCounts] = {}
    for daily_counts in of_policies:
        for day, counts in daily_counts.items():
            totals[day] = totals[day] + counts if day in totals else counts
    return totals
