"""Cron schedules as Quartz 2.3.2 reads them (org.quartz.CronExpression).

Six or seven fields, separated by spaces or tabs: seconds minutes hours day-of-month month day-of-week [year].
Pure: no clock, no input or output.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise

from msgspec import Struct

from backup_webhooks.schedules.quartz_fields import (
    HOURS,
    LAST_YEAR,
    MINUTES,
    MONTH,
    SATURDAY,
    SECONDS,
    SUNDAY,
    YEAR,
    DayRule,
    InvalidSchedule,
    day_rule,
    texts_of,
)

__all__ = ["InvalidSchedule", "QuartzCron"]

_BEGIN = datetime(1969, 12, 30, tzinfo=UTC)  # before 1970, the first year of `*`, in every zone
_END = datetime(LAST_YEAR + 1, 1, 3, tzinfo=UTC)
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_DAY, _HOURS_A_DAY = timedelta(days=1), 24


class _Schedule(Struct, frozen=True):
    """Ascending values of each field, and the matching days for each of the 28 shapes of a month."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: dict[tuple[int, int], tuple[int, ...]]
    months: tuple[int, ...]
    years: tuple[int, ...]

    def day_at_or_after(self, start: date) -> date | None:
        for year in self.years[bisect_left(self.years, start.year) :]:
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                days = self.days[_shape(year, month)]
                index = bisect_left(days, start.day) if (year, month) == (start.year, start.month) else 0
                if index < len(days):
                    return date(year, month, days[index])
        return None


@dataclass(frozen=True, slots=True)
class QuartzCron:
    """One Quartz 2.3.2 cron expression, read in a time zone. Immutable; equal by expression and zone.

    `expression`: at most 200 printable ASCII characters and tabs; names in either case. `zone`: the zone of the wall
    clock by which the expression fires. `shortest_pause`: the shortest time between two fire times by the wall clock,
    to the minute (0 if it fires more than once a minute), as if each day fired.

    Raises `InvalidSchedule` for any other expression, and for any type other than str. It also refuses nonsense that
    Quartz accepts: text after a complete value (`1-2-3`, `1.5`, `MONDAY`, an eighth field), an empty list entry (`5,`),
    a step of 0, a range of days or months that ends at 0, `?` in a list, a weekday 0 or 8 before `#`, and years outside
    1970-2099.
    """

    expression: str
    zone: tzinfo = UTC
    shortest_pause: timedelta = field(init=False, repr=False, compare=False)
    _schedule: _Schedule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        seconds, minutes, hours, day_of_month, month, day_of_week, year = texts_of(self.expression)
        schedule = _Schedule(
            SECONDS.values(seconds),
            MINUTES.values(minutes),
            HOURS.values(hours),
            _days_by_shape(day_rule(day_of_month, day_of_week)),
            MONTH.values(month),
            YEAR.values(year),
        )
        object.__setattr__(self, "_schedule", schedule)
        object.__setattr__(self, "shortest_pause", _shortest_pause(schedule))

    def next_after(self, timestamp: datetime) -> datetime | None:
        """Return the first fire time strictly after `timestamp`, in UTC, or None. Raise ValueError if that is naive.

        Fire times lie on whole seconds, from 1970 to 2199. Daylight saving follows Quartz 2.3.2 on
        java.util.GregorianCalendar:

        - A wall time that the clock skips does not fire. Quartz continues the search at the skipped time plus the
          length of the gap. If the gap is not one hour within a day, this passes over wall times that exist.
          `0 15/10 * * * ?` misses 02:35 when Australia/Lord_Howe skips 02:00-02:30, and `0 0 * * * ?` misses
          24 hours when America/Nuuk skips 23:00-24:00.
        - A wall time that comes twice fires once, in the second pass; `0 * * * * ?` does not fire during the first
          pass. From a timestamp in the first pass Quartz searches as if from the same wall time in the second. It does
          not find earlier times of the second pass.

        Quartz never returns for some searches (`0 0 0 LW * ?` in a month whose last weekday has no midnight). Here the
        search continues in the next month.
        """
        if timestamp.utcoffset() is None:
            raise ValueError("timestamp is naive; an aware datetime is needed")
        if timestamp >= _END:
            return None
        instant = max(timestamp, _BEGIN).astimezone(UTC).replace(microsecond=0) + _SECOND
        # When Quartz sets a field, its calendar loses which of two passes it was in; fold=0 does the same.
        wall: datetime | None = instant.astimezone(self.zone).replace(fold=0)
        while wall is not None:
            later = self._later(wall)
            if later is wall:
                return wall.replace(fold=1).astimezone(UTC)
            wall = later
        return None

    def _later(self, wall: datetime) -> datetime | None:
        """Return the wall time itself if it fires, else the next one that Quartz tries; None after the last year.

        It takes one of Quartz's steps at a time, because each may land in a gap of the wall clock.
        """
        schedule = self._schedule
        second = _at_or_after(schedule.seconds, wall.second)
        if second != wall.second:
            return _lenient(wall.replace(second=second) + _MINUTE * (second < wall.second))
        minute = _at_or_after(schedule.minutes, wall.minute)
        if minute != wall.minute:
            return _at_hour(wall.replace(minute=minute, second=0), wall.hour + (minute < wall.minute))
        hour = _at_or_after(schedule.hours, wall.hour)
        if hour != wall.hour:
            return _at_hour(wall.replace(minute=0, second=0) + _DAY * (hour < wall.hour), hour)
        day = schedule.day_at_or_after(wall.date())
        if day is None or day == wall.date():
            return wall if day else None
        return _lenient(datetime(day.year, day.month, day.day, tzinfo=self.zone))


def _shortest_pause(schedule: _Schedule) -> timedelta:
    if len(schedule.seconds) > 1:
        return timedelta()
    minutes = [hour * 60 + minute for hour in schedule.hours for minute in schedule.minutes]
    return _MINUTE * min(later - earlier for earlier, later in pairwise([*minutes, minutes[0] + 24 * 60]))


def _days_by_shape(rule: DayRule) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        (first, length): tuple(rule([(first + day - 1) % 7 + 1 for day in range(length)]))
        for first in range(SUNDAY, SATURDAY + 1)
        for length in range(28, 32)
    }


def _shape(year: int, month: int) -> tuple[int, int]:
    """Return the weekday of the month's first day (1 = Sunday), and the month's length in days."""
    first = date(year, month, 1)
    length = (date(year + month // 12, month % 12 + 1, 1) - first).days
    return first.isoweekday() % 7 + 1, length


def _at_or_after(values: tuple[int, ...], value: int) -> int:
    """Return the first of the ascending values that is not below the value, or the very first if all are below."""
    index = bisect_left(values, value)
    return values[index] if index < len(values) else values[0]


def _lenient(wall: datetime) -> datetime:
    """Return the wall time. If the clock skips it, move it on by the length of the gap, as a Java Calendar does."""
    return wall.astimezone(UTC).astimezone(wall.tzinfo)


def _at_hour(wall: datetime, hour: int) -> datetime:
    """Return that hour (0-24) of the day. If the clock skips it, return the hour after it, on the day moved to."""
    landed = _lenient(wall.replace(hour=0) + _HOUR * hour)
    if hour not in (landed.hour, _HOURS_A_DAY):
        landed = _lenient(landed.replace(hour=0) + _HOUR * (hour + 1))
    return landed
