"""The fields of a Quartz cron expression: from texts to values, and to the days of a month that match.

Pure. `quartz.QuartzCron` combines the fields.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

MAX_LENGTH = 200
# Quartz follows an open year such as `*` to 100 years after the year it runs in. An end 100 years after the last year
# that an expression can name makes the answer independent of the clock.
LAST_YEAR = 2199
SUNDAY, SATURDAY = 1, 7  # Quartz numbers the week from Sunday
_SHOWN_LENGTH = 40
_MOST_FIELDS = 7
_JAVA_INT_MAX = 2**31 - 1

# Maps the weekdays (1 = Sunday) of a month's days to the days that match, ascending.
DayRule = Callable[[list[int]], Iterable[int]]


class InvalidSchedule(ValueError):
    """A cron expression is refused.

    `field` names the cron field at fault: "seconds", "minutes", "hours", "day-of-month", "month", "day-of-week",
    "year", or "expression" for the whole. The text names the field, quotes its content (shortened) and says what is
    allowed.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class Field(Struct, frozen=True):
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
        """Return all values in the comma-separated text, ascending. Raise `InvalidSchedule` if it is refused."""
        return tuple(sorted({value for part in text.split(",") for value in self._part(part, text)}))

    def _part(self, part: str, text: str) -> Iterable[int]:
        span, slash, step_digits = part.partition("/")
        start_text, dash, end_text = span.partition("-")
        # Quartz limits the step of `5/15` and `*/15`, but not that of a range: `0-10/60` is 0.
        step = self.number(step_digits, 1, _JAVA_INT_MAX if dash else self.high, text) if slash else 1
        open_end = LAST_YEAR if self is YEAR else self.high
        if span == "*" or (slash and not span):
            return range(self.low, open_end + 1, step)
        named = start_text in self.names
        start = self.value(start_text, text)
        end = self.value(end_text, text) if dash else start
        if dash and named != (end_text in self.names):
            raise self.refusal(text)  # Quartz takes neither `MON-6` nor `2-FRI`
        if named:
            step = 1  # Quartz ignores text after a name: `MON-FRI/2` is `MON-FRI`, and `JAN/2` is `JAN`
        elif slash and not dash:
            end = open_end
        if end >= start:
            return range(start, end + 1, step)
        if self is YEAR:
            raise self.refusal(text)
        size = self.high - self.low + 1
        return (self.low + (value - self.low) % size for value in range(start, end + size + 1, step))


def _lists_of(values: str) -> str:
    return f"{values}, *, a-b, a/n, a-b/n, */n, and lists of these"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAYS_ALLOWED = f"{_lists_of('1-31')}; or ?, L, LW, L-n, L-nW (n to 30), or a nearest weekday such as 15W"
_WEEK_ALLOWED = f"{_lists_of('1-7 (1 is SUN), SUN-SAT')}; or ?, L, a last one such as 6L, an nth such as 6#5"
SECONDS = Field("seconds", 0, 59, _lists_of("0-59"))
MINUTES = Field("minutes", 0, 59, _lists_of("0-59"))
HOURS = Field("hours", 0, 23, _lists_of("0-23"))
_DAY_OF_MONTH = Field("day-of-month", 1, 31, _DAYS_ALLOWED)
MONTH = Field("month", 1, 12, _lists_of("1-12, JAN-DEC"), _MONTHS)
_DAY_OF_WEEK = Field("day-of-week", SUNDAY, SATURDAY, _WEEK_ALLOWED, _WEEKDAYS)
YEAR = Field("year", 1970, 2099, _lists_of("1970-2099"))


def texts_of(expression: object) -> list[str]:
    """Return the texts of the seven fields, in upper case. Raise `InvalidSchedule` if the expression is refused."""
    if not isinstance(expression, str):
        raise InvalidSchedule("expression", f"{type(expression).__name__} is not understood; allowed: str")
    # Java's upper case and digits exceed ASCII: Quartz reads a long s as S, and Arabic digits in a step.
    if len(expression) > MAX_LENGTH:
        allowed = f"up to {MAX_LENGTH} characters"
    elif not expression.isascii() or not expression.replace("\t", " ").isprintable():
        allowed = "printable ASCII and tabs"
    elif len(texts := expression.upper().split()) in (_MOST_FIELDS - 1, _MOST_FIELDS):
        return [*texts, "*"][:_MOST_FIELDS]
    else:
        allowed = "6 or 7 fields, seconds minutes hours day-of-month month day-of-week [year]"
    raise InvalidSchedule("expression", f"{_shown(expression)} is not understood; allowed: {allowed}")


def day_rule(day_of_month: str, day_of_week: str) -> DayRule:
    if (day_of_month == "?") == (day_of_week == "?"):
        both = f"{_shown(day_of_week)} beside day-of-month {_shown(day_of_month)}"
        raise InvalidSchedule("day-of-week", f"{both}; allowed: ? in exactly one of the two")
    return _day_of_month_rule(day_of_month) if day_of_week == "?" else _day_of_week_rule(day_of_week)


def _day_of_month_rule(text: str) -> DayRule:
    if text.startswith("L"):
        digits = text.removesuffix("W").removeprefix("L-")
        offset = 0 if digits == "L" else _DAY_OF_MONTH.number(digits, 0, 30, text)
        return lambda weekdays: _one_day(len(weekdays) - offset, text.endswith("W"), weekdays)
    parts = text.split(",")
    plain = [part.removesuffix("W") if part[:-1].isdigit() else part for part in parts]
    days = _DAY_OF_MONTH.values(",".join(plain))
    if plain == parts:
        return lambda weekdays: [day for day in days if day <= len(weekdays)]
    # With a W anywhere Quartz uses only the first day: `15W,20` is `15W`.
    return lambda weekdays: _one_day(days[0], True, weekdays)


def _one_day(day: int, to_weekday: bool, weekdays: list[int]) -> list[int]:
    """Return the day, or the nearest Monday to Friday within the month; no day if the month lacks it.

    Without the day, Quartz's answer to `29W` depends on the start, and it never answers `L-29W`.
    """
    if not 1 <= day <= len(weekdays):
        return []
    if to_weekday and weekdays[day - 1] == SATURDAY:
        return [day - 1 if day > 1 else day + 2]
    if to_weekday and weekdays[day - 1] == SUNDAY:
        return [day + 1 if day < len(weekdays) else day - 2]
    return [day]


def _day_of_week_rule(text: str) -> DayRule:
    before, hash_sign, after = text.partition("#")
    chosen = slice(None)
    if hash_sign:
        _DAY_OF_WEEK.value(before.rpartition(",")[2], text)
        nth_digits, comma, rest = after.partition(",")
        nth = _DAY_OF_WEEK.number(nth_digits, 1, 5, text)
        chosen = slice(nth - 1, nth)
        # With a # anywhere Quartz uses only the first weekday: `FRI#2,MON` is `MON#2`.
        wanted = _DAY_OF_WEEK.values(before + comma + rest)[:1]
    elif text != "L" and text.endswith("L"):
        chosen = slice(-1, None)
        wanted = (_DAY_OF_WEEK.value(text.removesuffix("L"), text),)
    else:
        # A single L is every Saturday, not the last day of a week or month.
        wanted = (SATURDAY,) if text == "L" else _DAY_OF_WEEK.values(text)
    return lambda weekdays: [day for day, weekday in enumerate(weekdays, 1) if weekday in wanted][chosen]


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}...")
