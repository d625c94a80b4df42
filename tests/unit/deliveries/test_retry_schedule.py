"""When a failed delivery is attempted again: the schedule, its jitter, and `Retry-After`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from backup_webhooks.deliveries.attempt import DeliverySettings
from backup_webhooks.deliveries.retry_schedule import LONGEST_RETRY_AFTER, RetrySchedule, parse_retry_after
from hypothesis import example, given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from local.template import PROJECT

# A Thursday.
NOW = datetime(2018, 12, 20, 17, 0, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = timedelta(0)
STEPS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]


def template_delays() -> Sequence[timedelta]:
    """Return the schedule of a stack whose parameters have their defaults."""
    parameters = yaml_parse((PROJECT / "template.yaml").read_text())["Parameters"]
    names = ("WEBHOOKS_TABLE", "SERVER_POLICIES_TABLE", "DELIVERIES_TABLE", "RETRY_QUEUE_URL")
    others = dict.fromkeys(names, "x") | {"DELIVERY_RETENTION_DAYS": "30", "ALLOW_PRIVATE_TARGETS": "false"}
    delays = {"RETRY_DELAYS_SECONDS": str(parameters["RetryDelaysSeconds"]["Default"])}
    return DeliverySettings.from_env(others | delays).retry_delays


def schedule(seed: int | None = None) -> RetrySchedule:
    seed = random.randrange(2**32) if seed is None else seed
    print(f"seed {seed}")
    return RetrySchedule(STEPS, random.Random(seed))


def pause(schedule: RetrySchedule, retries: int, retry_after: str | None = None) -> timedelta:
    at = schedule.retry_at(retries, retry_after, NOW)
    assert at
    return at - NOW


def test_the_templates_schedule_is_5_s_5_min_30_min_and_2_5_10_14_20_24_h() -> None:
    assert list(template_delays()) == STEPS


@pytest.mark.parametrize("retries", range(len(STEPS)))
def test_each_pause_is_its_step_with_20_percent_more_or_less_evenly_spread(retries: int) -> None:
    retry_schedule = schedule()
    parts = sorted(pause(retry_schedule, retries) / STEPS[retries] for _ in range(1000))

    assert 0.8 <= parts[0] < 0.82
    assert 1.18 < parts[-1] <= 1.2
    assert 0.97 < parts[len(parts) // 2] < 1.03
    assert len(set(parts)) > 900


def test_two_schedules_spread_their_pauses_differently_without_being_seeded() -> None:
    one, other = RetrySchedule(STEPS), RetrySchedule(STEPS)

    assert {pause(one, 8) for _ in range(5)} != {pause(other, 8) for _ in range(5)}


@pytest.mark.parametrize("retry_after", [None, "5", "36000"])
def test_after_the_last_step_there_is_no_retry_even_with_retry_after(retry_after: str | None) -> None:
    assert schedule().retry_at(len(STEPS) - 1, retry_after, NOW)
    assert schedule().retry_at(len(STEPS), retry_after, NOW) is None
    assert schedule().retry_at(len(STEPS) + 1, retry_after, NOW) is None


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (None, NOTHING),
        ("", NOTHING),
        (" ", NOTHING),
        ("0", NOTHING),
        ("00", NOTHING),
        ("1", timedelta(seconds=1)),
        ("120", timedelta(minutes=2)),
        ("0120", timedelta(minutes=2)),
        (" 120\t", timedelta(minutes=2)),
        ("35999", 10 * HOUR - timedelta(seconds=1)),
        ("36000", 10 * HOUR),
        ("36001", 10 * HOUR),
        ("86400", 10 * HOUR),
        ("1" + "0" * 60, 10 * HOUR),
    ],
)
def test_seconds_count_up_to_10_hours(text: str | None, asked: timedelta) -> None:
    assert parse_retry_after(text, NOW) == asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Thu, 20 Dec 2018 18:00:06 GMT", HOUR),
        ("Thursday, 20-Dec-18 18:00:06 GMT", HOUR),
        ("Thu Dec 20 18:00:06 2018", HOUR),
        # The day of asctime is padded with a space.
        ("Tue Jan  1 00:00:00 2019", 10 * HOUR),
        ("Thu, 20 Dec 2018 17:00:07 GMT", timedelta(seconds=1)),
        ("Fri, 21 Dec 2018 03:00:05 GMT", 10 * HOUR - timedelta(seconds=1)),
        ("Fri, 21 Dec 2018 03:00:07 GMT", 10 * HOUR),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10 * HOUR),
        # HTTP dates are in UTC: the name of another zone is ignored.
        ("Thu, 20 Dec 2018 18:00:06 +0100", HOUR),
        ("Thu, 20 Dec 2018 18:00:06 -0000", HOUR),
        ("Thu, 20 Dec 2018 18:00:06 EST", HOUR),
    ],
)
def test_a_date_counts_in_each_of_its_forms_up_to_10_hours_ahead(text: str, asked: timedelta) -> None:
    assert parse_retry_after(text, NOW) == asked


def test_the_time_to_a_date_is_counted_from_now_in_any_zone() -> None:
    in_tokyo = NOW.astimezone(timezone(timedelta(hours=9)))

    assert parse_retry_after("Thu, 20 Dec 2018 18:00:06 GMT", in_tokyo) == HOUR


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 20 Dec 2018 17:00:06 GMT",
        "Thu, 20 Dec 2018 17:00:05 GMT",
        "Thu Dec 20 16:00:06 2018",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
    ],
)
def test_a_date_that_is_past_asks_for_nothing(text: str) -> None:
    assert parse_retry_after(text, NOW) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "-120", "+120", "120.0", "0.5", ".5", "1e3", "0x78", "1_000", "120s", "PT2M"),
        *("٣٠", "²", "12\uff10", "120\x00", "120, 240", "120,240", "120 240", "120;240"),
        *("soon", "inf", "nan", "null", "💾", "\ud800", "," * 1000),
        "2018-12-20T18:00:06Z",
        "Thu, 32 Dec 2018 18:00:06 GMT",
        "Thu, 20 Foo 2018 18:00:06 GMT",
        "Thu, 20 Dec 2018 25:00:06 GMT",
        "Thu, 20 Dec 99999 18:00:06 GMT",
        "Thu, 20 Dec 2018",
        "Thu, 20 Dec 2018 18:00:06 +" + "9" * 30,
        "Thu, 20 Dec " + "9" * 30 + " 18:00:06 GMT",
    ],
    ids=ascii,
)
def test_other_values_of_retry_after_are_ignored(text: str) -> None:
    assert parse_retry_after(text, NOW) == NOTHING


PARTS = ["Thu", ",", " ", "20", "Dec", "dec", "-", "2018", "18", "18:00:06", "18.00", ":", ".", "+", "GMT", "\0", "٣"]


@given(st.text() | st.lists(st.sampled_from(PARTS), max_size=12).map("".join) | st.integers().map(str))
@example("9" * 5000)
@example("Thu, 20 Dec 2018 18:00:06 +" + "9" * 5000)
def test_any_text_asks_for_something_between_nothing_and_10_hours(text: str) -> None:
    assert NOTHING <= parse_retry_after(text, NOW) <= LONGEST_RETRY_AFTER == timedelta(hours=10)


@pytest.mark.parametrize("text", ["0", "1", "4", "Thu, 20 Dec 2018 16:00:06 GMT", "-3600", "soon"])
def test_retry_after_never_shortens_a_pause(text: str) -> None:
    for retries in range(1, len(STEPS)):
        assert pause(schedule(7), retries, text) == pause(schedule(7), retries)


def test_a_pause_is_retry_after_and_up_to_20_percent_more_but_never_less() -> None:
    retry_schedule = schedule()
    parts = sorted(pause(retry_schedule, 0, "3600") / HOUR for _ in range(1000))

    assert 1 <= parts[0] < 1.01
    assert 1.19 < parts[-1] <= 1.2


@given(st.integers(), st.integers(0, len(STEPS) - 1), st.integers(0, 10**6))
def test_a_pause_is_the_longer_of_step_and_retry_after_with_jitter(seed: int, retries: int, retry_after: int) -> None:
    step, asked = STEPS[retries], min(timedelta(seconds=retry_after), LONGEST_RETRY_AFTER)
    taken = pause(schedule(seed), retries, str(retry_after))

    assert max(step * 0.8, asked) <= taken <= max(step, asked) * 1.2
