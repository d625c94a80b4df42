"""The times that reports cover: from one report hour to the next, in the account's own zone.

A report at 07:00 covers the backups since 07:00 of the day before, so the night that its reader asks about. Report days
never overlap or leave a gap, so each timestamp belongs to exactly one; they have 23 or 25 hours where clocks change. If
the clocks skip the report hour, the day ends where they go on; if the hour comes twice, at the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backup_webhooks.reports.report import ReportKind

_DAY = timedelta(days=1)
_DAYS = {ReportKind.DAILY: 1, ReportKind.WEEKLY: 7}
_MONDAY = 0


@dataclass(frozen=True, slots=True)
class ReportDays:
    """An account's report days, which end at this hour (0 to 23) in this zone. All returned times are in UTC."""

    hour: int
    zone: ZoneInfo

    def end_of(self, day: date) -> datetime:
        """Return when the report day of that date ends."""
        return datetime.combine(day, time(self.hour), self.zone).astimezone(UTC)

    def last_end(self, now: datetime) -> datetime:
        """Return the latest end of a report day that is not after `now`."""
        return self.end_of(self._last_day(now))

    def next_end(self, now: datetime) -> datetime:
        """Return the first end of a report day after `now`."""
        day = now.astimezone(self.zone).date()
        return next(end for days in range(3) if (end := self.end_of(day + days * _DAY)) > now)

    def last_monday(self, now: datetime) -> datetime:
        """Return the latest end of a week that is not after `now`. A week ends with its Monday's report day."""
        day = self._last_day(now)
        return self.end_of(day - timedelta(days=(day.weekday() - _MONDAY) % 7))

    def before(self, end: datetime, days: int) -> datetime:
        """Return the end of the report day `days` before the last one that ended by `end`."""
        return self.end_of(self._last_day(end) - timedelta(days=days))

    def start(self, kind: ReportKind, end: datetime) -> datetime:
        """Return when the period of that kind that ends at `end` begins."""
        return self.before(end, _DAYS[kind])

    def ends(self, end: datetime, count: int) -> Sequence[datetime]:
        """Return the ends of the last `count` report days by `end`, the oldest first."""
        return [self.before(end, back) for back in reversed(range(count))]

    def _last_day(self, now: datetime) -> date:
        day = now.astimezone(self.zone).date()
        # A zone that moves across the date line skips a day, or has one twice.
        return next(day - days * _DAY for days in range(-1, 4) if self.end_of(day - days * _DAY) <= now)
