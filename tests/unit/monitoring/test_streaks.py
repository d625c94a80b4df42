"""Streaks: since when backups go wrong, which success ends that, and which recovery is then sent."""

from __future__ import annotations

import random

import pytest
from backup_webhooks.events.messages import BackupFinished, BackupRecovered, EventType
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.streaks import EVER, Place

from tests.support.policies import LONG_AGO, at, changed, finished, tracked

FAILURE, MISSING, PARTIAL = EventType.FAILURE, EventType.MISSING, EventType.PARTIAL_SUCCESS

# Backups of a policy at 01:00, named by the day of the month.
FAILED_1 = finished("12-01 01:00", "12-01 01:30", "FAILED")
FAILED_2 = finished("12-02 01:00", "12-02 01:30", "FAILED")
PARTIAL_3 = finished("12-03 01:00", "12-03 01:30", "PARTIAL_SUCCESS")
SUCCESS_4 = finished("12-04 01:00", "12-04 01:30")
FAILED_5 = finished("12-05 01:00", "12-05 01:30", "FAILED")
SUCCESS_6 = finished("12-06 01:00", "12-06 01:30")


def recovery(policy: TrackedPolicy, end: BackupFinished = SUCCESS_4) -> BackupRecovered | None:
    """Return the recovery that is sent when that backup is recorded."""
    return policy.after(end).recovery(end)


def test_the_first_success_after_failures_is_a_recovery_with_since_when_and_how_many() -> None:
    recovered = recovery(tracked(FAILED_1, FAILED_2))

    assert recovered is not None
    assert (recovered.failing_since_date, recovered.failed, recovered.missed) == (at("12-01 01:30"), 2, 0)
    assert (recovered.backup_finished_date, recovered.restore_point_id) == (
        at("12-04 01:30"),
        SUCCESS_4.restore_point_id,
    )
    assert recovered.event_type is EventType.RECOVERED


def test_the_second_success_is_no_recovery() -> None:
    assert recovery(tracked(FAILED_1, SUCCESS_4), SUCCESS_6) is None


def test_the_same_success_again_sends_the_same_recovery() -> None:
    """The function may have been killed before it sent the recovery."""
    policy = tracked(FAILED_1, SUCCESS_4)

    assert recovery(policy) == recovery(tracked(FAILED_1)) is not None
    assert recovery(policy.after(SUCCESS_6), SUCCESS_4) == recovery(policy)


def test_a_success_after_nothing_wrong_is_no_recovery() -> None:
    assert recovery(tracked()) is None
    assert recovery(tracked(SUCCESS_4), SUCCESS_6) is None


def test_the_first_success_after_partial_successes_is_a_recovery() -> None:
    recovered = recovery(tracked(PARTIAL_3))

    assert recovered is not None
    assert (recovered.failing_since_date, recovered.partly_succeeded, recovered.failed) == (at("12-03 01:30"), 1, 0)


@pytest.mark.parametrize("end", [PARTIAL_3, finished("12-03 01:00", "12-03 01:30", "CANCELLED")])
def test_only_a_success_is_a_recovery(end: BackupFinished) -> None:
    policy = tracked(FAILED_1)

    assert recovery(policy, end) is None
    assert recovery(policy.after(end)) is not None


def test_a_failure_that_comes_twice_counts_once() -> None:
    recovered = recovery(tracked(FAILED_1, FAILED_1))

    assert recovered is not None
    assert recovered.failed == 1


def test_misses_count_from_the_scheduled_start() -> None:
    policy = tracked(changed("12-01 16:00")).after_miss(LONG_AGO).after_miss(LONG_AGO)

    recovered = recovery(policy, finished("12-03 17:00", "12-03 17:30"))

    assert recovered is not None
    assert (recovered.failing_since_date, recovered.failed, recovered.missed) == (at("12-01 17:00"), 0, 2)


def test_a_success_that_a_failure_has_overtaken_is_no_recovery() -> None:
    policy = tracked(FAILED_1, FAILED_5)

    assert recovery(policy, SUCCESS_4) is None
    recovered = recovery(policy.after(SUCCESS_4), SUCCESS_6)
    assert recovered is not None
    assert (recovered.failing_since_date, recovered.failed) == (at("12-05 01:30"), 1)


def test_a_failure_that_is_reported_after_a_later_success_is_ended_by_the_next() -> None:
    """The target that was sent the failure is to be sent its recovery too."""
    policy = tracked(SUCCESS_4, FAILED_2)

    recovered = recovery(policy, SUCCESS_6)

    assert recovered is not None
    assert (recovered.failing_since_date, recovered.failed) == (at("12-02 01:30"), 1)
    assert policy.place(FAILED_2) is None
    assert policy.after(FAILED_5).place(FAILED_5) == Place(at("12-05 01:30"), at("12-05 01:30"))
    assert policy.after(SUCCESS_6).place(SUCCESS_6) == Place(at("12-06 01:30"), at("12-06 01:30"))


def test_a_miss_that_is_reported_after_a_late_backup_is_ended_by_the_next() -> None:
    policy = tracked(changed("12-01 16:00"), finished("12-01 18:02", "12-01 18:04")).after_miss(LONG_AGO)

    assert policy.miss().missing_since_date == at("12-02 17:00")
    recovered = recovery(policy, finished("12-02 17:00", "12-02 17:30"))
    assert recovered is not None
    assert (recovered.failing_since_date, recovered.missed) == (at("12-01 17:00"), 1)


def test_only_one_of_two_successes_that_are_recorded_at_the_same_time_is_the_recovery() -> None:
    policy = tracked(FAILED_1)
    later = finished("12-04 02:00", "12-04 02:30")

    assert recovery(policy) is not None
    assert recovery(policy.after(SUCCESS_4), later) is None


def test_the_misses_of_a_policy_are_forgotten_while_it_is_inactive() -> None:
    policy = tracked(changed("12-01 16:00")).after_miss(LONG_AGO).after_miss(LONG_AGO)
    off = policy.after(changed("12-03 12:00", server_policy_status="INACTIVE"))
    on = off.after(changed("12-20 09:00"))

    assert on.miss().missing_since_date == at("12-20 17:00")


def test_in_whatever_order_failures_come_they_are_all_counted() -> None:
    chance = random.Random(20181220)
    for _ in range(20):
        failures = [finished(f"12-02 {hour:02}:00", f"12-02 {hour:02}:30", "FAILED") for hour in range(12)]
        chance.shuffle(failures)

        recovered = recovery(tracked(*failures))

        assert recovered is not None
        assert (recovered.failing_since_date, recovered.failed) == (at("12-02 00:30"), 12)


class TestPlaces:
    """A result's place among those of its type, by the streaks once it is recorded."""

    def test_the_first_failure_since_a_success_begins_and_the_next_is_of_the_same(self) -> None:
        assert tracked(SUCCESS_4, FAILED_5).place(FAILED_5) == Place(at("12-05 01:30"), at("12-05 01:30"))
        assert tracked(FAILED_1, FAILED_2).place(FAILED_2) == Place(at("12-02 01:30"), at("12-01 01:30"))

    def test_it_is_the_same_for_a_message_that_comes_again(self) -> None:
        known = tracked(FAILED_1, FAILED_2)

        assert known.after(FAILED_2).place(FAILED_2) == known.place(FAILED_2)

    def test_each_kind_has_a_first_of_its_own(self) -> None:
        assert tracked(FAILED_1, FAILED_2, PARTIAL_3).place(PARTIAL_3) == Place(at("12-03 01:30"), at("12-03 01:30"))

    def test_a_late_failure_may_begin_the_streak(self) -> None:
        known = tracked(FAILED_5, FAILED_1)

        assert known.place(FAILED_1) == Place(at("12-01 01:30"), at("12-01 01:30"))
        assert known.after(FAILED_2).place(FAILED_2) == Place(at("12-02 01:30"), at("12-01 01:30"))

    def test_a_failure_that_is_reported_after_it_was_over_has_none(self) -> None:
        assert tracked(SUCCESS_4, FAILED_2).place(FAILED_2) is None

    def test_successes_begin_with_a_recovery(self) -> None:
        assert tracked(SUCCESS_4, SUCCESS_6).place(SUCCESS_6) == Place(at("12-06 01:30"), EVER)
        for trouble in (FAILED_1, PARTIAL_3):
            known = tracked(trouble, SUCCESS_4, SUCCESS_6)
            assert known.place(SUCCESS_4) == Place(at("12-04 01:30"), at("12-04 01:30"))
            assert known.place(SUCCESS_6) == Place(at("12-06 01:30"), at("12-04 01:30"))
