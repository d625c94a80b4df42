"""Daily counts: each backup is counted once, whatever comes twice or late."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from backup_webhooks.monitoring.daily_counts import (
    DAYS_SHOWN,
    DailyCounts,
    DayCounts,
    last_30_days,
    sum_by_day,
    with_counts,
)

from tests.support.policies import LONG_AGO, at, changed, finished, started, tracked

DAY = date(2018, 12, 20)


@pytest.mark.parametrize(
    ("status", "results"),
    [
        ("SUCCESS", DayCounts(success=1)),
        ("PARTIAL_SUCCESS", DayCounts(partial_success=1)),
        ("FAILED", DayCounts(failed=1)),
    ],
)
def test_a_backup_counts_on_the_day_of_its_end(status: str, results: DayCounts) -> None:
    policy = tracked(started("12-19 23:50"), finished("12-19 23:50", "12-20 00:10", status))

    assert policy.daily_counts == {DAY: results}


def test_a_cancelled_backup_does_not_count() -> None:
    assert tracked(finished("12-20 01:00", "12-20 01:10", "CANCELLED")).daily_counts == {}


def test_an_end_that_is_reported_twice_counts_once() -> None:
    end, next_end = finished("12-20 01:00", "12-20 01:10"), finished("12-20 02:00", "12-20 02:10", "FAILED")

    assert tracked(end, end, next_end, end).daily_counts == {DAY: DayCounts(success=1, failed=1)}


def test_an_end_that_is_reported_again_after_its_time_does_not_count_again() -> None:
    """A message may be redriven from the dead-letter queue two weeks later, when its end has left the history."""
    first = finished("12-01 01:00", "12-01 01:10")
    later = [finished(f"12-{day} 01:00", f"12-{day} 01:10") for day in (10, 11, 12)]

    assert tracked(first, *later, first).daily_counts[date(2018, 12, 1)] == DayCounts(success=1)


def test_an_end_that_is_reported_again_after_an_old_policy_does_not_count_again() -> None:
    """A late policy message makes the history begin earlier, at a time whose ends it has dropped."""
    ends = [finished(f"11-{day} 01:00", f"11-{day} 01:10") for day in ("09", "10", "18")]
    policy = tracked(*ends, changed("11-02 00:00"), ends[0])

    assert sum(results.success for results in policy.daily_counts.values()) == 3


def test_whatever_the_order_no_end_counts_twice() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(300):
        ends = [finished(f"11-{day:02} 01:00", f"11-{day:02} 01:10") for day in chance.sample(range(1, 29), 6)]
        messages = [*ends, *chance.choices(ends, k=6), changed(f"11-{chance.randint(1, 28):02} 00:00")]
        chance.shuffle(messages)

        assert sum(results.success for results in tracked(*messages).daily_counts.values()) <= len(ends)


def test_ends_that_come_in_order_all_count() -> None:
    ends = [
        finished(f"{month}-{day:02} 01:00", f"{month}-{day:02} 01:10") for month in (11, 12) for day in range(1, 29)
    ]

    assert sum(results.success for results in tracked(changed("10-30 00:00"), *ends).daily_counts.values()) == 35


def test_a_day_is_one_of_utc() -> None:
    west = datetime.fromisoformat("2018-12-20T23:30:00-01:00")

    assert with_counts({}, west, DayCounts(success=1)) == {date(2018, 12, 21): DayCounts(success=1)}


def test_a_miss_counts_on_the_day_of_its_scheduled_start() -> None:
    policy = tracked(changed("12-20 16:00"))

    assert policy.after_miss(LONG_AGO).daily_counts == {DAY: DayCounts(missed=1)}


def test_a_change_of_the_policy_keeps_the_days() -> None:
    policy = tracked(changed("12-20 00:30"), finished("12-20 01:00", "12-20 01:10"), changed("12-20 02:00"))

    assert policy.daily_counts == {DAY: DayCounts(success=1)}


def test_days_long_ago_are_let_go_and_a_wrong_clock_pushes_out_no_day_that_is_shown() -> None:
    days: DailyCounts = {}
    for day in range(60):
        days = with_counts(days, at("10-01 12:00") + timedelta(days=day), DayCounts(success=1))
    days = with_counts(days, datetime(2999, 1, 1, tzinfo=UTC), DayCounts(failed=1))

    shown = last_30_days(days, at("10-01 12:00") + timedelta(days=59))

    assert len(days) < 40
    assert [results for _, results in shown] == [DayCounts(success=1)] * DAYS_SHOWN


def test_the_last_days_end_today_and_have_no_gaps() -> None:
    shown = last_30_days({date(2018, 12, 18): DayCounts(failed=2)}, at("12-20 00:00"))

    assert len(shown) == DAYS_SHOWN
    assert shown[-3:] == [
        (date(2018, 12, 18), DayCounts(failed=2)),
        (date(2018, 12, 19), DayCounts()),
        (DAY, DayCounts()),
    ]


def test_the_days_of_many_server_policies_add_up() -> None:
    other = date(2018, 12, 21)

    assert sum_by_day([{DAY: DayCounts(1, 2, 3, 4)}, {}, {DAY: DayCounts(1, 1, 1, 1), other: DayCounts(missed=1)}]) == {
        DAY: DayCounts(2, 3, 4, 5),
        other: DayCounts(missed=1),
    }


def test_a_server_without_a_policy_message_is_identified_by_its_first_backup() -> None:
    without_policy = tracked(started("12-20 01:00"))
    with_policy = tracked(started("12-20 01:00"), changed("12-20 02:00"))

    assert without_policy.identity
    assert without_policy.identity.server_id == "testServerId20181228013921"
    assert with_policy.identity_from_backup is None
    assert with_policy.identity == with_policy.policy
