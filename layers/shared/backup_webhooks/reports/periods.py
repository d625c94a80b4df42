"""The times that reports cover: from one report hour to the next, in the account's own zone.

A report that comes at 07:00 tells of what ended since 07:00 of the day before: the night that its reader asks about.
The days lie side by side whatever a zone does, 23 or 25 hours long where its clocks change, so that each moment belongs
to exactly one. An hour that a change of clocks leaves out is taken where the clocks go on; of one that comes twice, the
first.
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
    """An account's report days, which end at this hour (0 to 23) in this zone."""

    hour: int
    zone: ZoneInfo

    def end_of(self, day: date) -> datetime:
        """When the report day of that date ends, in UTC."""
        return datetime.combine(day, time(self.hour), self.zone).astimezone(UTC)

    def last_end(self, now: datetime) -> datetime:
        """The latest end of a report day that is not after `now`."""
        return self.end_of(self._last_day(now))

    def next_end(self, now: datetime) -> datetime:
        """The first end of a report day after `now`."""
        day = now.astimezone(self.zone).date()
        return next(end for days in range(3) if (end := self.end_of(day + days * _DAY)) > now)

    def last_monday(self, now: datetime) -> datetime:
        """The latest end of a week, which is that of its Monday's report day, that is not after `now`."""
        day = self._last_day(now)
        return self.end_of(day - timedelta(days=(day.weekday() - _MONDAY) % 7))

    def before(self, end: datetime, days: int) -> datetime:
        """The end of the report day so many days before that which ends at `end`, or last ended then."""
        return self.end_of(self._last_day(end) - timedelta(days=days))

    def start(self, kind: ReportKind, end: datetime) -> datetime:
        """When the period of that kind that ends at `end` begins."""
        return self.before(end, _DAYS[kind])

    def ends(self, end: datetime, count: int) -> Sequence[datetime]:
        """The ends of the last `count` report days up to that which ends at `end`, the oldest first."""
        return [self.before(end, back) for back in reversed(range(count))]

    def _last_day(self, now: datetime) -> date:
        day = now.astimezone(self.zone).date()
        # A zone that moves across the date line leaves out a day, or has one twice.
        return next(day - days * _DAY for days in range(-1, 4) if self.end_of(day - days * _DAY) <= now)
