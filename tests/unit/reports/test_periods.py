"""Tests of the times that reports cover."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from backup_webhooks.reports.periods import ReportDays
from backup_webhooks.reports.report import ReportKind
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = ReportDays(7, ZoneInfo("Europe/Berlin"))


def test_a_report_day_ends_at_the_accounts_hour_in_its_zone() -> None:
    assert BERLIN.end_of(date(2026, 1, 15)) == at("2026-01-15 06:00")
    assert BERLIN.end_of(date(2026, 7, 15)) == at("2026-07-15 05:00")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)])
def test_a_day_on_which_the_clocks_change_has_23_or_25_hours(day: str, hours: int) -> None:
    end = BERLIN.end_of(date.fromisoformat(day))

    assert end - BERLIN.start(ReportKind.DAILY, end) == hours * HOUR


def test_a_skipped_hour_is_when_the_clocks_change_and_of_two_the_first_counts() -> None:
    early = ReportDays(2, ZoneInfo("Europe/Berlin"))

    assert early.end_of(date(2026, 3, 29)) == at("2026-03-29 01:00")
    assert early.end_of(date(2026, 10, 25)) == at("2026-10-25 00:00")


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2026-11-25 05:59:59.999", "2026-11-24 06:00", "2026-11-25 06:00"),
        ("2026-11-25 06:00", "2026-11-25 06:00", "2026-11-26 06:00"),
        ("2026-11-25 23:30", "2026-11-25 06:00", "2026-11-26 06:00"),
    ],
)
def test_now_lies_between_the_last_end_and_the_next(now: str, last: str, following: str) -> None:
    assert BERLIN.last_end(at(now)) == at(last)
    assert BERLIN.next_end(at(now)) == at(following)


def test_a_week_ends_with_mondays_report_day() -> None:
    assert BERLIN.last_monday(at("2026-11-23 06:00")) == at("2026-11-23 06:00")
    assert BERLIN.last_monday(at("2026-11-23 05:59")) == at("2026-11-16 06:00")
    assert BERLIN.last_monday(at("2026-11-29 12:00")) == at("2026-11-23 06:00")
    assert BERLIN.start(ReportKind.WEEKLY, at("2026-11-23 06:00")) == at("2026-11-16 06:00")


def test_the_ends_of_a_week_are_those_of_its_days() -> None:
    ends = BERLIN.ends(at("2026-03-31 05:00"), 4)

    assert ends == [at(f"2026-03-{text}") for text in ("28 06:00", "29 05:00", "30 05:00", "31 05:00")]


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    hour=st.integers(0, 23),
    now=st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)),
)
def test_in_every_zone_the_days_lie_side_by_side(zone: str, hour: int, now: datetime) -> None:
    days, timestamp = ReportDays(hour, ZoneInfo(zone)), at(now.isoformat(sep=" ", timespec="milliseconds"))

    last, following = days.last_end(timestamp), days.next_end(timestamp)

    assert last <= timestamp < following
    assert days.last_end(following - timedelta(milliseconds=1)) == last
    assert days.next_end(last) == following
    # A zone that crosses the date line skips a day, or has one twice.
    assert following - last <= 2 * DAY + HOUR
    assert list(days.ends(last, 7)) == sorted(days.ends(last, 7))
