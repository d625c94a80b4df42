"""Cron schedules as Quartz 2.3.2 reads them (org.quartz.CronExpression).

Six or seven fields, set apart by spaces or tabs: seconds minutes hours day-of-month month day-of-week [year].
Pure: no clock, no input or output.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

MAX_LENGTH = 200
_SHOWN_LENGTH = 40
# Quartz follows an open year such as `*` to 100 years past the year it runs in. An end that is 100 years past
# the last year one can name keeps the answer free of the clock.
_LAST_YEAR = 2199
_BEGIN = datetime(1969, 12, 30, tzinfo=UTC)  # before 1970, the first year of `*`, in every zone
_END = datetime(_LAST_YEAR + 1, 1, 3, tzinfo=UTC)
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_DAY, _HOURS_A_DAY = timedelta(days=1), 24
_SUNDAY, _SATURDAY = 1, 7  # Quartz numbers the week from Sunday
_MOST_FIELDS = 7
_JAVA_INT_MAX = 2**31 - 1

# From the weekdays (1 = Sunday) of a month's days to the days that match, ascending.
_DayRule = Callable[[list[int]], Iterable[int]]


class InvalidSchedule(ValueError):
    """A cron expression that is refused.

    `field` names the cron field at fault: "seconds", "minutes", "hours", "day-of-month", "month",
    "day-of-week", "year", or "expression" for the whole. The text names the field, quotes what stood there
    (shortened) and says what is allowed.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    allowed: str
    names: tuple[str, ...] = ()

    def refusal(self, text: str) -> InvalidSchedule:
        return InvalidSchedule(self.name, f"{_shown(text)} is not understood; allowed: {self.allowed}")

    def number(self, digits: str, low: int, high: int, text: str) -> int:
        if not digits.isdigit() or not low <= int(digits) <= high:
            raise self.refusal(text)
        return int(digits)

    def value(self, part: str, text: str) -> int:
        if part in self.names:
            return self.low + self.names.index(part)
        return self.number(part, self.low, self.high, text)

    def values(self, text: str) -> tuple[int, ...]:
        """All values in the comma-separated text, ascending."""
        return tuple(sorted({value for part in text.split(",") for value in self._part(part, text)}))

    def _part(self, part: str, text: str) -> Iterable[int]:
        span, slash, step_digits = part.partition("/")
        start_text, dash, end_text = span.partition("-")
        # Quartz bounds the step of `5/15` and `*/15`, but not that of a range: `0-10/60` is 0.
        step = self.number(step_digits, 1, _JAVA_INT_MAX if dash else self.high, text) if slash else 1
        open_end = _LAST_YEAR if self is _YEAR else self.high
        if span == "*" or (slash and not span):
            return range(self.low, open_end + 1, step)
        named = start_text in self.names
        start = self.value(start_text, text)
        end = self.value(end_text, text) if dash else start
        if dash and named != (end_text in self.names):
            raise self.refusal(text)  # Quartz takes neither `MON-6` nor `2-FRI`
        if named:
            step = 1  # Quartz stops reading after a name: `MON-FRI/2` is `MON-FRI`, and `JAN/2` is `JAN`
        elif slash and not dash:
            end = open_end
        if end >= start:
            return range(start, end + 1, step)
        if self is _YEAR:
            raise self.refusal(text)
        size = self.high - self.low + 1
        return (self.low + (value - self.low) % size for value in range(start, end + size + 1, step))


def _lists_of(values: str) -> str:
    return f"{values}, *, a-b, a/n, a-b/n, */n, and lists of these"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAYS_ALLOWED = f"{_lists_of('1-31')}; or ?, L, LW, L-n, L-nW (n to 30), or a nearest weekday such as 15W"
_WEEK_ALLOWED = f"{_lists_of('1-7 (1 is SUN), SUN-SAT')}; or ?, L, a last one such as 6L, an nth such as 6#5"
_SECONDS = _Field("seconds", 0, 59, _lists_of("0-59"))
_MINUTES = _Field("minutes", 0, 59, _lists_of("0-59"))
_HOURS = _Field("hours", 0, 23, _lists_of("0-23"))
_DAY_OF_MONTH = _Field("day-of-month", 1, 31, _DAYS_ALLOWED)
_MONTH = _Field("month", 1, 12, _lists_of("1-12, JAN-DEC"), _MONTHS)
_DAY_OF_WEEK = _Field("day-of-week", _SUNDAY, _SATURDAY, _WEEK_ALLOWED, _WEEKDAYS)
_YEAR = _Field("year", 1970, 2099, _lists_of("1970-2099"))


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Ascending values, and for each of the 28 shapes of a month the days that match."""

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

    expression: at most 200 printable ASCII characters and tabs; names in either case.
    zone: the zone of the wall clock that the expression speaks of.

    Raises InvalidSchedule for any other expression, one that is not a str included. Also refused is nonsense
    that Quartz lets pass: text after a complete value (`1-2-3`, `1.5`, `MONDAY`, an eighth field), an empty
    list entry (`5,`), a step of 0, a range of days or months that ends at 0, `?` in a list, a weekday 0 or 8
    before `#`, and years outside 1970-2099.
    """

    expression: str
    zone: tzinfo = UTC
    _schedule: _Schedule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        seconds, minutes, hours, day_of_month, month, day_of_week, year = _texts(self.expression)
        schedule = _Schedule(
            _SECONDS.values(seconds),
            _MINUTES.values(minutes),
            _HOURS.values(hours),
            _days_by_shape(_day_rule(day_of_month, day_of_week)),
            _MONTH.values(month),
            _YEAR.values(year),
        )
        object.__setattr__(self, "_schedule", schedule)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first fire time strictly after an aware moment: an aware datetime in UTC, or None.

        Fire times lie on whole seconds, from 1970 to 2199. Daylight saving follows what Quartz 2.3.2 does on
        java.util.GregorianCalendar:

        - A wall time that the clock skips does not fire. Quartz searches on from the skipped time plus the
          length of the gap, which passes over wall times that exist if the gap is not one hour within a day:
          `0 15/10 * * * ?` misses 02:35 when Australia/Lord_Howe skips 02:00-02:30, and `0 0 * * * ?` misses
          24 hours when America/Nuuk skips 23:00-24:00.
        - A wall time that comes twice fires once, the second time round; `0 * * * * ?` is silent all through
          the first pass. From a moment in the first pass Quartz searches as if from the same wall time in the
          second, so what lies before that in the second pass is not found.

        Where Quartz never returns (`0 0 0 LW * ?` in a month whose last weekday has no midnight), the search
        goes on to the next month.

        Raises ValueError for a naive moment.
        """
        if moment.utcoffset() is None:
            raise ValueError("moment is naive; an aware datetime is needed")
        if moment >= _END:
            return None
        instant = max(moment, _BEGIN).astimezone(UTC).replace(microsecond=0) + _SECOND
        # Setting a field makes Quartz's calendar forget which of two passes it stood in; so does fold=0.
        wall: datetime | None = instant.astimezone(self.zone).replace(fold=0)
        while wall is not None:
            later = self._later(wall)
            if later is wall:
                return wall.replace(fold=1).astimezone(UTC)
            wall = later
        return None

    def _later(self, wall: datetime) -> datetime | None:
        """The wall time itself if it fires, else where Quartz looks next; None past the last year.

        One step of Quartz at a time, because each may land in a gap of the wall clock.
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


def _texts(expression: object) -> list[str]:
    """The texts of the seven fields, in upper case."""
    if not isinstance(expression, str):
        raise InvalidSchedule("expression", f"{type(expression).__name__} is not understood; allowed: str")
    # Java's upper case and digits go beyond ASCII: Quartz reads a long s as S, and Arabic digits in a step.
    if len(expression) > MAX_LENGTH:
        allowed = f"up to {MAX_LENGTH} characters"
    elif not expression.isascii() or not expression.replace("\t", " ").isprintable():
        allowed = "printable ASCII and tabs"
    elif len(texts := expression.upper().split()) in (_MOST_FIELDS - 1, _MOST_FIELDS):
        return [*texts, "*"][:_MOST_FIELDS]
    else:
        allowed = "6 or 7 fields, seconds minutes hours day-of-month month day-of-week [year]"
    raise InvalidSchedule("expression", f"{_shown(expression)} is not understood; allowed: {allowed}")


def _day_rule(day_of_month: str, day_of_week: str) -> _DayRule:
    if (day_of_month == "?") == (day_of_week == "?"):
        both = f"{_shown(day_of_week)} beside day-of-month {_shown(day_of_month)}"
        raise InvalidSchedule("day-of-week", f"{both}; allowed: ? in exactly one of the two")
    return _day_of_month_rule(day_of_month) if day_of_week == "?" else _day_of_week_rule(day_of_week)


def _day_of_month_rule(text: str) -> _DayRule:
    if text.startswith("L"):
        digits = text.removesuffix("W").removeprefix("L-")
        offset = 0 if digits == "L" else _DAY_OF_MONTH.number(digits, 0, 30, text)
        return lambda weekdays: _one_day(len(weekdays) - offset, text.endswith("W"), weekdays)
    parts = text.split(",")
    plain = [part.removesuffix("W") if part[:-1].isdigit() else part for part in parts]
    days = _DAY_OF_MONTH.values(",".join(plain))
    if plain == parts:
        return lambda weekdays: [day for day in days if day <= len(weekdays)]
    # With a W anywhere Quartz looks at the first day alone: `15W,20` is `15W`.
    return lambda weekdays: _one_day(days[0], True, weekdays)


def _one_day(day: int, to_weekday: bool, weekdays: list[int]) -> list[int]:
    """The day, or the nearest Monday to Friday within the month.

    None if the month lacks the day: there Quartz's own answer to `29W` depends on the start, and to `L-29W`
    it never comes.
    """
    if not 1 <= day <= len(weekdays):
        return []
    if to_weekday and weekdays[day - 1] == _SATURDAY:
        return [day - 1 if day > 1 else day + 2]
    if to_weekday and weekdays[day - 1] == _SUNDAY:
        return [day + 1 if day < len(weekdays) else day - 2]
    return [day]


def _day_of_week_rule(text: str) -> _DayRule:
    before, hash_sign, after = text.partition("#")
    chosen = slice(None)
    if hash_sign:
        _DAY_OF_WEEK.value(before.rpartition(",")[2], text)
        nth_digits, comma, rest = after.partition(",")
        nth = _DAY_OF_WEEK.number(nth_digits, 1, 5, text)
        chosen = slice(nth - 1, nth)
        # With a # anywhere Quartz looks at the first weekday alone: `FRI#2,MON` is `MON#2`.
        wanted = _DAY_OF_WEEK.values(before + comma + rest)[:1]
    elif text != "L" and text.endswith("L"):
        chosen = slice(-1, None)
        wanted = (_DAY_OF_WEEK.value(text.removesuffix("L"), text),)
    else:
        # L alone is every Saturday, not the last day of anything.
        wanted = (_SATURDAY,) if text == "L" else _DAY_OF_WEEK.values(text)
    return lambda weekdays: [day for day, weekday in enumerate(weekdays, 1) if weekday in wanted][chosen]


def _days_by_shape(rule: _DayRule) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        (first, length): tuple(rule([(first + day - 1) % 7 + 1 for day in range(length)]))
        for first in range(_SUNDAY, _SATURDAY + 1)
        for length in range(28, 32)
    }


def _shape(year: int, month: int) -> tuple[int, int]:
    """The weekday of the month's first day, and its length in days."""
    first = date(year, month, 1)
    length = (date(year + month // 12, month % 12 + 1, 1) - first).days
    return first.isoweekday() % 7 + 1, length


def _at_or_after(values: tuple[int, ...], value: int) -> int:
    """The first of the ascending values that is not below the value; if all are below, the very first."""
    index = bisect_left(values, value)
    return values[index] if index < len(values) else values[0]


def _lenient(wall: datetime) -> datetime:
    """The wall time; if the clock skips it, moved on by the length of the gap, as a Java Calendar does."""
    return wall.astimezone(UTC).astimezone(wall.tzinfo)


def _at_hour(wall: datetime, hour: int) -> datetime:
    """That hour (0-24) of the day; if the clock skips it, the hour after it on the day it was moved to."""
    landed = _lenient(wall.replace(hour=0) + _HOUR * hour)
    if hour not in (landed.hour, _HOURS_A_DAY):
        landed = _lenient(landed.replace(hour=0) + _HOUR * (hour + 1))
    return landed


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}...")
