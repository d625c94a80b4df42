import copy
import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from backup_webhooks.schedules.quartz import InvalidSchedule, QuartzCron
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(__file__).parents[1] / "data"
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fire_times(cron: QuartzCron, timestamp: datetime, count: int) -> list[datetime]:
    """Return the next fire times, each computed from the one before."""
    found: list[datetime] = []
    while len(found) < count and (later := cron.next_after(found[-1] if found else timestamp)):
        found.append(later)
    return found


def stamps(timestamps: list[datetime]) -> str:
    return ",".join(f"{timestamp:%Y-%m-%dT%H:%M:%SZ}" for timestamp in timestamps)


def table() -> Iterator[tuple[str, str, str]]:
    for line in (DATA / "quartz-fire-times.tsv").read_text().splitlines():
        expression, start, expected = line.split("\t")
        yield expression, start, expected


# --- Ground truth from Quartz 2.3.2 itself


@pytest.mark.parametrize("kind", ["day-of-month", "day-of-week"])
def test_fire_times_agree_with_quartz(kind: str) -> None:
    rows = [row for row in table() if (row[0].split()[3] == "?") == (kind == "day-of-week")]
    assert len(rows) > 500
    for expression, start, expected in rows:
        found = stamps(fire_times(QuartzCron(expression), datetime.fromisoformat(start), 4))
        assert found == expected, f"{expression!r} after {start}"


def test_fire_times_across_daylight_saving_agree_with_quartz() -> None:
    """The expected times come from Quartz 2.3.2 on Java 17, at 336 starts near clock changes of 14 zones."""
    for line in (DATA / "quartz-dst-fire-times.tsv").read_text().splitlines():
        expression, zone, start, expected = line.split("\t")
        found = stamps(fire_times(QuartzCron(expression, ZoneInfo(zone)), datetime.fromisoformat(start), 4))
        assert found == expected, f"{expression!r} in {zone} after {start}"


@pytest.mark.parametrize("expression", (DATA / "quartz-rejected.txt").read_text().splitlines())
def test_what_quartz_refuses_is_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        QuartzCron(expression)


# --- Parsing


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 0 1-2-3 * ?",
        "0 1.5 0 15 * ?",
        "0 0 0 15 * ? * extra",
        "0 0 0 15 * ? * 2024 x y",
        "0 5a 0 15 * ?",
        "0 5-7a 0 15 * ?",
        "0 5/7/9 0 15 * ?",
        "0 *5 0 15 * ?",
        "0 ** 0 15 * ?",
        "0 */+5 0 15 * ?",
        "0 */-5 0 15 * ?",
        "0 */0 0 15 * ?",
        "0 5/0 0 15 * ?",
        "0 , 0 15 * ?",
        "0 5, 0 15 * ?",
        "0 5,,6 0 15 * ?",
        "0 1_0 0 15 * ?",
        "0 0 0 5-0 * ?",
        "0 0 0 0W * ?",
        "0 0 0 15WX * ?",
        "0 0 0 10-15W * ?",
        "0 0 0 10W-15 * ?",
        "0 0 0 L- * ?",
        "0 0 0 L-W * ?",
        "0 0 0 L5 * ?",
        "0 0 0 LL * ?",
        "0 0 0 LWW * ?",
        "0 0 0 ?5 * MON",
        "0 0 0 ?,1 * MON",
        "0 0 0 1 JANUARY ?",
        "0 0 0 1 JANL ?",
        "0 0 0 1 JAN-3 ?",
        "0 0 0 1 1-MAR ?",
        "0 0 0 ? * MONDAY",
        "0 0 0 ? * MON-5",
        "0 0 0 ? * 1-FRI",
        "0 0 0 ? * FRILX",
        "0 0 0 ? * 2-6#3",
        "0 0 0 ? * MON-FRI#3",
        "0 0 0 ? * 0#2",
        "0 0 0 ? * 8#2",
        "0 0 0 ? * 2#",
        "0 0 0 ? * L-3",
        "0 0 0 ? * LW",
        "0 0 0 ? * 3-0",
        "0 0 0 1 1 ? 1969",
        "0 0 0 1 1 ? 2100",
        "0 0 0 1 1 ? 2030-2025",
        "0 0 0 1 1 ? L",
        "0 \u0663 0 15 * ?",
        "0 */\u0663 0 15 * ?",
        "0 0 0 15 \u017fep ?",
        "0 0 0 ? * fr\u0131",
        "0 \uff15 0 15 * ?",
        "0\u00a00 0 15 * ?",
        "0 0 0 15 * ?\n",
        "0 0 0 15 * ?\0",
        "0 0 0 15 * \x1f?",
        "\ud800",
        "",
        "   ",
        "?" * 200,
        "9" * 200,
        "0 0 0 " + "1," * 95 + "1 * ?",
        "x" * 10_000,
        "0 0 12 * * ?" + " " * 200,
    ],
)
def test_nonsense_is_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        QuartzCron(expression)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("expression", [None, 5, b"0 0 12 * * ?", ["0"]])
def test_what_is_not_text_is_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule, match=r"^expression: .* allowed: str"):
        QuartzCron(expression)


@pytest.mark.parametrize(
    ("expression", "field", "quoted", "allowed"),
    [
        ("60 0 12 * * ?", "seconds", "'60'", "0-59"),
        ("0 0/61 12 * * ?", "minutes", "'0/61'", "0-59"),
        ("0 0 22-24 * * ?", "hours", "'22-24'", "0-23"),
        ("0 0 12 l-31 * ?", "day-of-month", "'L-31'", "1-31"),
        ("0 0 12 1 foo ?", "month", "'FOO'", "JAN-DEC"),
        ("0 0 12 ? * 6#6", "day-of-week", "'6#6'", "SUN-SAT"),
        ("0 0 12 1 * MON", "day-of-week", "'MON' beside day-of-month '1'", "exactly one"),
        ("0 0 12 1 * ? 1066", "year", "'1066'", "1970-2099"),
        ("0 0 12", "expression", "'0 0 12'", "6 or 7 fields"),
        ("0 0 12 * * ?" * 20, "expression", "'0 0 12 * * ?0 0 12 * * ?0 0 12 * * ?0...'", "200 characters"),
        ("0 0 12 \u0661 * ?", "expression", "'0 0 12 \u0661 * ?'", "ASCII"),
    ],
)
def test_a_refusal_names_the_field_quotes_it_and_says_what_is_allowed(
    expression: str, field: str, quoted: str, allowed: str
) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        QuartzCron(expression)
    text = str(refused.value)
    assert refused.value.field == field
    assert text.startswith(f"{field}: {quoted}")
    assert allowed in text.partition("; allowed: ")[2]


def test_a_refusal_survives_pickling() -> None:
    with pytest.raises(InvalidSchedule) as refused:
        QuartzCron("x")
    restored = pickle.loads(pickle.dumps(refused.value))  # noqa: S301 - pickled on the same line
    assert (restored.field, str(restored)) == ("expression", str(refused.value))


@pytest.mark.parametrize(
    ("expression", "plainly"),
    [
        ("  0 \t 0  12 * * ?\t", "0 0 12 * * ?"),
        ("00 007 012 ? * 02#02", "0 7 12 ? * 2#2"),
        ("0 /15 * * * ?", "0 0,15,30,45 * * * ?"),
        ("0 */15 * * * ?", "0 0,15,30,45 * * * ?"),
        ("0 5/15 * * * ?", "0 5,20,35,50 * * * ?"),
        ("0 0-10/60 * * * ?", "0 0 * * * ?"),
        ("0 */59 * * * ?", "0 0,59 * * * ?"),
        ("0 5,* * * * ?", "0 * * * * ?"),
        ("0 0 22-2 * * ?", "0 0 22,23,0,1,2 * * ?"),
        ("0 0 22-2/2 * * ?", "0 0 22,0,2 * * ?"),
        ("0 0 0 20-10/7 * ?", "0 0 0 20,27,3,10 * ?"),
        ("0 0 0 1 NOV-FEB ?", "0 0 0 1 11,12,1,2 ?"),
        ("0 0 0 1 jan-mar/2 ?", "0 0 0 1 1,2,3 ?"),
        ("0 0 0 1 JAN/2 ?", "0 0 0 1 1 ?"),
        ("0 0 0 ? * FRI-MON", "0 0 0 ? * 6,7,1,2"),
        ("0 0 0 ? * mon-fri/2", "0 0 0 ? * 2-6"),
        ("0 0 0 ? * 2-6/2", "0 0 0 ? * MON,WED,FRI"),
        ("0 0 0 ? * L", "0 0 0 ? * SAT"),
        ("0 0 0 ? * fril", "0 0 0 ? * 6L"),
        ("0 0 0 ? * FRI#2,MON", "0 0 0 ? * MON#2"),
        ("0 0 0 ? * 6,2#1", "0 0 0 ? * MON#1"),
        ("0 0 0 l-3w * ?", "0 0 0 L-3W * ?"),
        ("0 0 0 L-0 * ?", "0 0 0 L * ?"),
        ("0 0 0 15W,20 * ?", "0 0 0 15W * ?"),
        ("0 0 0 20-25,15W * ?", "0 0 0 15W * ?"),
        ("0 0 0 1 1 ? 2024/2", "0 0 0 1 1 ? 2024,2026,2028,2030,2032,2034,2036,2038,2040,2042"),
        ("0 0 0 1 1 ? */20", "0 0 0 1 1 ? 1970,1990,2010,2030,2050,2070,2090"),
    ],
)
def test_two_spellings_of_one_schedule(expression: str, plainly: str) -> None:
    start = utc("2024-01-31T23:59:59")
    assert fire_times(QuartzCron(expression), start, 4) == fire_times(QuartzCron(plainly), start, 4)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 0 31W * ?", "2023-03-31T00:00:00Z,2023-05-31T00:00:00Z"),
        ("0 0 0 29W 2 ?", "2024-02-29T00:00:00Z,2028-02-29T00:00:00Z"),
        ("0 0 0 L-29W * ?", "2023-03-02T00:00:00Z,2023-04-03T00:00:00Z"),
        ("0 0 0 L-30 * ?", "2023-03-01T00:00:00Z,2023-05-01T00:00:00Z"),
        ("0 0 0 ? * MON#5", "2023-05-29T00:00:00Z,2023-07-31T00:00:00Z"),
    ],
)
def test_a_month_without_the_day_has_no_fire_time(expression: str, expected: str) -> None:
    assert stamps(fire_times(QuartzCron(expression), utc("2023-01-31T12:00:00"), 2)) == expected


# --- Values


def test_equal_by_expression_and_zone() -> None:
    noon = QuartzCron("0 0 12 * * ?")
    assert noon == QuartzCron("0 0 12 * * ?", UTC)
    assert hash(noon) == hash(QuartzCron("0 0 12 * * ?", UTC))
    assert noon != QuartzCron("0 0 12 * * ?", ZoneInfo("Europe/Berlin"))
    assert noon != QuartzCron("0 0 12 ? * *")
    assert repr(noon) == "QuartzCron(expression='0 0 12 * * ?', zone=datetime.timezone.utc)"
    assert copy.deepcopy(noon) == pickle.loads(pickle.dumps(noon)) == noon  # noqa: S301 - pickled on the same line


def test_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        QuartzCron("0 0 12 * * ?").expression = "0 0 13 * * ?"  # type: ignore[misc]


# --- Timestamps


def test_a_naive_timestamp_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        QuartzCron("0 0 12 * * ?").next_after(datetime(2024, 1, 1))


def test_the_answer_is_strictly_after_the_timestamp_on_a_whole_second_in_utc() -> None:
    noon = QuartzCron("0 0 12 * * ?")
    assert noon.next_after(utc("2024-01-01T11:59:59.999999")) == utc("2024-01-01T12:00:00")
    assert noon.next_after(utc("2024-01-01T12:00:00")) == utc("2024-01-02T12:00:00")
    assert noon.next_after(utc("2024-01-01T12:00:00.000001")) == utc("2024-01-02T12:00:00")
    found = noon.next_after(datetime(2024, 1, 1, 15, tzinfo=timezone(timedelta(hours=3, minutes=30))))
    assert found is not None
    assert (found, found.tzinfo) == (utc("2024-01-01T12:00:00"), UTC)


@pytest.mark.parametrize("hours", [-23, 0, 23])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_timestamps_at_the_ends_of_time(hours: int, zone: str) -> None:
    cron = QuartzCron("0 0 12 * * ?", ZoneInfo(zone))
    timestamp_zone = timezone(timedelta(hours=hours))
    first = cron.next_after(datetime.min.replace(tzinfo=timestamp_zone))
    assert first is not None
    assert first.astimezone(cron.zone).replace(tzinfo=None) == datetime(1970, 1, 1, 12)
    assert cron.next_after(datetime(9998, 1, 1, tzinfo=timestamp_zone)) is None
    assert cron.next_after(datetime.max.replace(tzinfo=timestamp_zone)) is None


def test_the_last_fire_time() -> None:
    cron = QuartzCron("59 59 23 * * ?")
    assert fire_times(cron, utc("2199-12-30T23:59:59"), 2) == [utc("2199-12-31T23:59:59")]
    assert QuartzCron("0 0 0 1 1 ? 2099").next_after(utc("2099-01-01T00:00:00")) is None


@pytest.mark.parametrize(
    "expression",
    ["0 0 0 30 2 ?", "0 0 0 31 2,4,6,9,11 ?", "0 0 0 29 2 ? 2023", "0 0 0 L-30 2 ?", "0 0 0 1 1 ? 2020"],
)
def test_an_expression_that_never_fires_has_no_next(expression: str) -> None:
    assert QuartzCron(expression).next_after(utc("2024-01-01T00:00:00")) is None


def test_an_expression_that_fires_only_in_a_gap_has_no_next() -> None:
    last_sunday_of_march = QuartzCron("0 30 2 ? 3 1L", ZoneInfo("Europe/Berlin"))
    assert last_sunday_of_march.next_after(utc("2024-01-01T00:00:00")) is None


def test_a_leap_day_on_a_fifth_sunday_comes_every_28_years() -> None:
    found = fire_times(QuartzCron("0 0 0 ? 2 1#5"), utc("2024-01-01T00:00:00"), 3)
    assert [timestamp.year for timestamp in found] == [2032, 2060, 2088]


# --- Daylight saving: wall times are shown with their offset


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # New York skips 02:00-03:00 on 10 March and repeats 01:00-02:00 on 3 November 2024.
        ("0 30 2 * * ?", "America/New_York", "2024-03-09T12:00-05:00", "2024-03-11T02:30-04:00"),
        ("0 0/5 * * * ?", "America/New_York", "2024-03-10T01:55-05:00", "2024-03-10T03:00-04:00"),
        ("0 30 * * * ?", "America/New_York", "2024-03-10T01:30-05:00", "2024-03-10T03:30-04:00"),
        ("30 * * * * ?", "America/New_York", "2024-03-10T01:59:30-05:00", "2024-03-10T03:00-04:00"),
        ("0 30 1 * * ?", "America/New_York", "2024-11-03T00:00-04:00", "2024-11-03T01:30-05:00"),
        ("0 30 1 * * ?", "America/New_York", "2024-11-03T01:30-05:00", "2024-11-04T01:30-05:00"),
        ("0 0/5 * * * ?", "America/New_York", "2024-11-03T00:55-04:00", "2024-11-03T01:00-05:00"),
        ("0 0/5 * * * ?", "America/New_York", "2024-11-03T01:10-04:00", "2024-11-03T01:15-05:00"),
        ("0 30 * * * ?", "America/New_York", "2024-11-03T00:30-04:00", "2024-11-03T01:30-05:00"),
        # From the first pass, Quartz does not find earlier times of the second.
        ("0 30 1 * * ?", "America/New_York", "2024-11-03T01:20-04:00", "2024-11-03T01:30-05:00"),
        ("0 30 1 * * ?", "America/New_York", "2024-11-03T01:40-04:00", "2024-11-04T01:30-05:00"),
        ("0 0 1 * * ?", "America/New_York", "2024-11-03T01:59:59-04:00", "2024-11-03T01:00-05:00"),
        # Lord Howe skips 02:00-02:30 on 6 October and repeats 01:30-02:00 on 7 April 2024.
        ("0 15 2 * * ?", "Australia/Lord_Howe", "2024-10-05T12:00+10:30", "2024-10-07T02:15+11:00"),
        ("0 45 2 * * ?", "Australia/Lord_Howe", "2024-10-05T12:00+10:30", "2024-10-06T02:45+11:00"),
        ("0 15/10 * * * ?", "Australia/Lord_Howe", "2024-10-06T01:55+10:30", "2024-10-06T02:45+11:00"),
        ("0 45 1 * * ?", "Australia/Lord_Howe", "2024-04-07T00:00+11:00", "2024-04-07T01:45+10:30"),
        # Apia skipped all of 30 December 2011.
        ("0 0 12 * * ?", "Pacific/Apia", "2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00"),
        ("0 0 12 30 12 ?", "Pacific/Apia", "2011-12-01T00:00-10:00", "2012-12-30T12:00+14:00"),
        # Sao Paulo skipped 00:00-01:00 on 4 November and repeated 23:00-24:00 on 17 February 2018.
        ("0 0 0 * * ?", "America/Sao_Paulo", "2018-11-03T12:00-03:00", "2018-11-05T00:00-02:00"),
        ("0 0 0 4 11 ?", "America/Sao_Paulo", "2018-11-03T12:00-03:00", "2019-11-04T00:00-03:00"),
        ("0 0 0 4 11 ?", "America/Sao_Paulo", "2018-10-01T12:00-03:00", "2019-11-04T00:00-03:00"),
        ("0 30 23 * * ?", "America/Sao_Paulo", "2018-02-17T12:00-02:00", "2018-02-17T23:30-03:00"),
        # Beirut skipped 00:00-01:00 on 31 March and repeated 23:00-24:00 on 26 October 2024.
        ("0 30 0 * * ?", "Asia/Beirut", "2024-03-30T12:00+02:00", "2024-04-01T00:30+03:00"),
        ("0 0 0 * * ?", "Asia/Beirut", "2024-10-26T12:00+03:00", "2024-10-27T00:00+02:00"),
        # Nuuk skipped 23:00-24:00 on 30 March 2024. Quartz loses the day after it too.
        ("0 0 * * * ?", "America/Nuuk", "2024-03-30T22:00-02:00", "2024-04-01T00:00-01:00"),
        # Troll skips 01:00-03:00; Quartz continues at 04:00.
        ("0 0 * * * ?", "Antarctica/Troll", "2024-03-31T00:00+00:00", "2024-03-31T04:00+02:00"),
        # Amman skipped the midnight of 29 March 2019, a last weekday, where Quartz never returns.
        ("0 0 0 LW * ?", "Asia/Amman", "2019-03-28T12:00+02:00", "2019-04-30T00:00+03:00"),
    ],
)
def test_daylight_saving(expression: str, zone: str, start: str, expected: str) -> None:
    found = QuartzCron(expression, ZoneInfo(zone)).next_after(datetime.fromisoformat(start))
    assert found is not None
    assert found.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") == expected


def test_a_fixed_offset() -> None:
    cron = QuartzCron("0 0 0 1 * ?", timezone(timedelta(hours=5, minutes=30)))
    assert cron.next_after(utc("2024-01-31T18:29:59")) == utc("2024-01-31T18:30:00")


# --- An oracle that walks days and tests membership: it shares nothing with the module


def members(text: str, low: int, high: int, names: list[str]) -> set[int]:
    """Return the values of a field: walk each part from its start, around the end, and take every step-th value."""
    taken: set[int] = set()
    for part in text.upper().split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text or 1)
        ends = [names.index(end) + low if end in names else int(end) for end in span.strip("*").split("-") if end]
        if not ends:
            ends = [low, high]
        elif len(ends) == 1:
            ends.append(high if step_text and span not in names else ends[0])
        if span[0].isalpha():
            step = 1
        value, walked = ends[0], 0
        while True:
            if walked % step == 0:
                taken.add(value)
            if value == ends[1]:
                break
            value, walked = (value + 1 if value < high else low), walked + 1
    return taken


def month_days(day: date) -> list[date]:
    return [
        date.fromordinal(ordinal)
        for ordinal in range(day.toordinal() - 31, day.toordinal() + 32)
        if (date.fromordinal(ordinal).year, date.fromordinal(ordinal).month) == (day.year, day.month)
    ]


def day_of_month_matches(text: str, day: date) -> bool:
    days = month_days(day)
    if text.startswith("L") or text.endswith("W"):
        digits = text.strip("LW-")
        number = len(days) - int(digits or 0) if text.startswith("L") else int(digits)
        if not 1 <= number <= len(days):
            return False
        if not text.endswith("W"):
            return day.day == number
        working = [other for other in days if other.strftime("%a") not in ("Sat", "Sun")]
        return day == min(working, key=lambda other: abs(other.day - number))
    return day.day in members(text, 1, 31, [])


def day_of_week_matches(text: str, day: date) -> bool:
    name = day.strftime("%a").upper()
    if text == "L":
        return name == "SAT"
    same = [other for other in month_days(day) if other.strftime("%a").upper() == name]
    if text.endswith("L"):
        return WEEKDAYS.index(name) + 1 in members(text[:-1], 1, 7, WEEKDAYS) and day == same[-1]
    weekdays, _, nth = text.partition("#")
    wanted = WEEKDAYS.index(name) + 1 in members(weekdays, 1, 7, WEEKDAYS)
    return wanted and (not nth or same.index(day) + 1 == int(nth))


def day_fires(expression: str, day: date) -> bool:
    _, _, _, day_of_month, month, day_of_week, *year = expression.split()
    return (
        day.month in members(month, 1, 12, MONTHS)
        and day.year in members(year[0] if year else "*", 1970, 2199, [])
        and (day_of_month == "?" or day_of_month_matches(day_of_month, day))
        and (day_of_week == "?" or day_of_week_matches(day_of_week, day))
    )


def times_of_day(expression: str) -> tuple[set[int], set[int], set[int]]:
    seconds, minutes, hours, *_ = expression.split()
    return members(seconds, 0, 59, []), members(minutes, 0, 59, []), members(hours, 0, 23, [])


def first_by_walking(expression: str, timestamp: datetime, days: int) -> datetime | None:
    seconds, minutes, hours = times_of_day(expression)
    for ahead in range(days):
        day = timestamp.date() + timedelta(days=ahead)
        if not day_fires(expression, day):
            continue
        for hour in sorted(hours):
            for minute in sorted(minutes):
                for second in sorted(seconds):
                    fired = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)
                    if fired > timestamp:
                        return fired
    return None


# --- Properties


@st.composite
def lists(draw: st.DrawFn, low: int, high: int, names: list[str]) -> str:
    number = st.integers(low, high).map(str)
    step = st.integers(1, min(high, 60)).map(str)
    span = st.tuples(number, number).map("-".join)
    stepped = st.tuples(st.one_of(st.just("*"), number, span), step).map("/".join)
    kinds = [st.just("*"), number, number, span, stepped]
    if names:
        name = st.sampled_from(names)
        kinds += [name, st.tuples(name, name).map("-".join)]
    part = st.one_of(kinds)
    return ",".join(draw(st.lists(part, min_size=1, max_size=3)))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    digit = st.sampled_from(range(31))
    weekday = st.one_of(st.sampled_from(WEEKDAYS), st.integers(1, 7).map(str))
    day_of_month = st.one_of(
        lists(1, 31, []),
        st.sampled_from(["L", "LW"]),
        digit.map("L-{}".format),
        digit.map("L-{}W".format),
        digit.map(lambda day: f"{day + 1}W"),
    )
    day_of_week = st.one_of(
        lists(1, 7, WEEKDAYS),
        st.just("L"),
        weekday.map("{}L".format),
        st.tuples(weekday, st.integers(1, 5).map(str)).map("#".join),
    )
    days = draw(st.one_of(st.tuples(day_of_month, st.just("?")), st.tuples(st.just("?"), day_of_week)))
    time = [draw(st.one_of(st.just("0"), lists(0, top, []))) for top in (59, 59, 23)]
    month = draw(st.one_of(st.just("*"), lists(1, 12, MONTHS)))
    year = draw(st.sampled_from(["", " *", " 2024", " 2023-2025", " 2020/2"]))
    return " ".join([*time, days[0], month, days[1]]) + year


MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Asia/Beirut",
        "America/Nuuk",
        "Africa/Cairo",
    ]
).map(ZoneInfo)
WALKED_DAYS = 40


@given(expressions(), MOMENTS)
@settings(max_examples=100, deadline=None, print_blob=True)
def test_next_after_agrees_with_walking_the_days(expression: str, timestamp: datetime) -> None:
    found = QuartzCron(expression).next_after(timestamp)
    walked = first_by_walking(expression, timestamp, WALKED_DAYS)
    if walked is None:
        assert found is None or found.date() >= timestamp.date() + timedelta(days=WALKED_DAYS)
    else:
        assert found == walked


@given(st.one_of(st.text(max_size=200), st.text("0123456789*?-/,#LW \tMONFRIJ", max_size=60), expressions()))
@settings(max_examples=100, deadline=None, print_blob=True)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cron = QuartzCron(text)
    except InvalidSchedule as refused:
        assert str(refused).startswith(f"{refused.field}: ")
    else:
        cron.next_after(utc("2024-01-01T00:00:00"))


@given(expressions(), ZONES, MOMENTS)
@settings(max_examples=100, deadline=None, print_blob=True)
def test_fire_times_rise_and_match_the_fields_in_their_zone(
    expression: str, zone: ZoneInfo, timestamp: datetime
) -> None:
    found = fire_times(QuartzCron(expression, zone), timestamp, 5)
    assert [timestamp, *found] == sorted({timestamp, *found})
    for fired in found:
        wall = fired.astimezone(zone)
        seconds, minutes, hours = times_of_day(expression)
        assert wall.second in seconds
        assert wall.minute in minutes
        assert wall.hour in hours
        assert day_fires(expression, wall.date())
        assert wall.replace(fold=1).astimezone(UTC) == fired, "the second time round"


@given(expressions(), MOMENTS, st.floats(0, 1, exclude_max=True))
@settings(max_examples=100, deadline=None, print_blob=True)
def test_the_next_is_the_same_from_anywhere_before_it(expression: str, timestamp: datetime, part: float) -> None:
    cron = QuartzCron(expression)
    found = cron.next_after(timestamp)
    if found is not None:
        between = timestamp + (found - timestamp) * part
        assert between >= found or cron.next_after(between) == found
