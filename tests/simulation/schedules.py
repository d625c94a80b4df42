"""The scheduled times of the simulated servers, from the wall clock. Nothing here knows the product's schedules.

A wall time that the clock skips does not come. A wall time that comes twice counts once, in its second pass. All
schedules here are such that Quartz agrees: no gap of the clock is longer than their hours allow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
EVERY_DAY = frozenset(range(7))
HOUR = timedelta(hours=1)
# The clock may skip one time of a schedule.
_LONGEST_WEEK, _LONGEST_MONTHS = 15 * DAY, 124 * DAY


@dataclass(frozen=True)
class WallClock:
    """Backups at the wall times `at` in the zone, on the weekdays (0: Monday) and, if given, only on that month day."""

    expression: str
    zone: str
    at: tuple[time, ...]
    weekdays: frozenset[int] = EVERY_DAY
    month_day: int | None = None

    def __str__(self) -> str:
        return f"{self.expression} {self.zone}"

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the times after `after` up to `until`, both in UTC, in order."""
        year, month = (after - DAY).year, (after - DAY).month
        while (year, month) <= ((until + DAY).year, (until + DAY).month):
            times = _times_in(self, year, month)
            yield from times[bisect_right(times, after) : bisect_right(times, until)]
            year, month = year + month // 12, month % 12 + 1

    def pause_around(self, timestamp: datetime) -> timedelta:
        """Return the time from the last scheduled time up to `timestamp` to the first one after it."""
        *_, before = self.between(timestamp - self._longest_pause, timestamp)
        return next(self.between(timestamp, timestamp + self._longest_pause)) - before

    @property
    def _longest_pause(self) -> timedelta:
        """Return a time in which the schedule comes at least once, whatever the clock does."""
        if self.month_day:
            return _LONGEST_MONTHS
        return _LONGEST_WEEK if self.weekdays != EVERY_DAY else 2 * DAY + 2 * HOUR


@dataclass(frozen=True)
class Interval:
    """Backups that each start so long after the end of the one before."""

    length: timedelta

    def __str__(self) -> str:
        return f"every {self.length} after the end"


type Schedule = WallClock | Interval


def daily(hour: int, minute: int, zone: str = "UTC") -> WallClock:
    return WallClock(f"0 {minute} {hour} * * ?", zone, (time(hour, minute),))


def hourly(minute: int, zone: str = "UTC") -> WallClock:
    return WallClock(f"0 {minute} * * * ?", zone, tuple(time(hour, minute) for hour in range(24)))


def quarter_hourly(zone: str = "UTC") -> WallClock:
    times = tuple(time(hour, minute) for hour in range(24) for minute in (0, 15, 30, 45))
    return WallClock("0 0/15 * * * ?", zone, times)


def weekly(weekday: int, hour: int, minute: int, zone: str = "UTC") -> WallClock:
    """Return the schedule of that weekday (0: Monday). Quartz counts them from 1, Sunday."""
    quartz = (weekday + 1) % 7 + 1
    return WallClock(f"0 {minute} {hour} ? * {quartz}", zone, (time(hour, minute),), frozenset({weekday}))


def monday_to_friday(hour: int, minute: int, zone: str = "UTC") -> WallClock:
    return WallClock(f"0 {minute} {hour} ? * MON-FRI", zone, (time(hour, minute),), frozenset(range(5)))


def monthly(day: int, hour: int, minute: int, zone: str = "UTC") -> WallClock:
    return WallClock(f"0 {minute} {hour} {day} * ?", zone, (time(hour, minute),), month_day=day)


@lru_cache(maxsize=4096)
def _times_in(schedule: WallClock, year: int, month: int) -> tuple[datetime, ...]:
    """Return the times of the wall clock's month, in UTC."""
    first = date(year, month, 1)
    length = (date(year + month // 12, month % 12 + 1, 1) - first).days
    days = [first + place * DAY for place in range(length)]
    zone = ZoneInfo(schedule.zone)
    walls = [
        datetime.combine(day, at, zone).replace(fold=1)
        for day in days
        if day.weekday() in schedule.weekdays and schedule.month_day in (None, day.day)
        for at in schedule.at
    ]
    instants = [(wall, wall.astimezone(UTC)) for wall in walls]
    exist = [instant for wall, instant in instants if _wall(instant, zone) == wall.replace(tzinfo=None)]
    return tuple(sorted(exist))


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
