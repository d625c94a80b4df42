"""The state of a server policy: one word, by one rule (design section 7)."""

from __future__ import annotations

from datetime import datetime

import pytest
from backup_webhooks.events.messages import BackupMissed, EventType
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState, server_state

from tests.support.policies import LONG_AGO, at, changed, finished, started, tracked

NIGHTLY = changed("12-20 09:00")
INACTIVE = changed("12-20 19:00", server_policy_status="INACTIVE")


def judged(policy: TrackedPolicy, as_of: datetime) -> TrackedPolicy:
    while report := policy.report_due(as_of):
        policy = policy.after_report(report.event, LONG_AGO)
    return policy


def ended(status: str, since: str = "12-20 17:00") -> TrackedPolicy:
    return tracked(NIGHTLY, finished(since, "12-20 17:30", status))


@pytest.mark.parametrize(
    ("policy", "as_of", "state"),
    [
        (tracked(NIGHTLY, finished("12-20 17:00", "12-20 17:30", "FAILED"), INACTIVE), "12-21 00:00", "inactive"),
        # It has started again since, and a start was missed.
        (tracked(NIGHTLY, started("12-20 17:00")), "12-21 18:01", "unfinished"),
        (tracked(NIGHTLY, started("12-20 17:00"), started("12-21 17:00")), "12-21 18:01", "unfinished"),
        (tracked(NIGHTLY), "12-20 18:01", "missed"),
        (ended("FAILED"), "12-21 18:01", "missed"),
        (tracked(NIGHTLY, started("12-21 17:00")), "12-21 18:01", "running"),
        (
            tracked(NIGHTLY, *(finished(f"12-{day} 17:00", f"12-{day} 17:30", "FAILED") for day in (20, 21, 22))),
            "12-22 18:01",
            "stale",
        ),
        (ended("FAILED"), "12-20 18:01", "failed"),
        (ended("FAILED"), "12-21 17:01", "failed"),
        (ended("SUCCESS"), "12-21 17:01", "late"),
        (ended("PARTIAL_SUCCESS"), "12-21 17:01", "late"),
        (ended("PARTIAL_SUCCESS").after(started("12-20 23:00")), "12-20 23:01", "running"),
        (ended("PARTIAL_SUCCESS"), "12-20 18:01", "partial"),
        (ended("CANCELLED"), "12-20 18:01", "cancelled"),
        (ended("SUCCESS").watching(False, at("12-20 18:00")), "12-23 18:01", "unwatched"),
        (ended("FAILED").watching(False, at("12-20 18:00")), "12-23 18:01", "failed"),
        (tracked(finished("12-20 17:00", "12-20 17:30")), "12-23 18:01", "unwatched"),
        (tracked(changed("12-20 09:00", backup_schedule="0 * * * * ?")), "12-23 18:01", "unwatched"),
        (ended("SUCCESS"), "12-20 18:01", "ok"),
        (tracked(NIGHTLY), "12-20 16:00", "unknown"),
    ],
)
def test_the_first_that_holds_is_the_state(policy: TrackedPolicy, as_of: str, state: str) -> None:
    assert server_state(judged(policy, at(as_of)), at(as_of)) == state


def test_a_run_that_began_too_early_and_ends_after_the_deadline_is_a_recovery_in_all_respects() -> None:
    nightly = changed("12-20 06:00", backup_schedule="0 0 8 * * ?")
    missed = judged(tracked(nightly, started("12-20 07:40")), at("12-20 09:05"))
    assert missed.last_missed_at == at("12-20 08:00")
    assert server_state(missed, at("12-20 09:05")) is ServerState.MISSED
    end = finished("12-20 07:40", "12-20 09:50")

    after = missed.after(end)

    assert after.recovery(end)
    assert after.troubled_since is None
    assert server_state(after, at("12-20 09:51")) is ServerState.OK


def test_a_run_that_began_too_early_and_ends_before_the_deadline_leaves_the_miss_as_it_is() -> None:
    nightly = changed("12-20 06:00", backup_schedule="0 0 8 * * ?")
    end = finished("12-20 07:40", "12-20 08:50")
    missed = judged(tracked(nightly, end), at("12-20 09:05"))

    assert missed.recovery(end) is None
    assert missed.troubled_since == at("12-20 09:00")
    assert server_state(missed, at("12-20 09:05")) is ServerState.MISSED


def test_a_policy_that_is_active_again_is_no_longer_missed() -> None:
    missed = judged(tracked(NIGHTLY), at("12-20 18:05"))
    again = missed.after(INACTIVE).after(changed("12-20 20:00"))

    assert server_state(missed, at("12-20 18:06")) is ServerState.MISSED
    assert server_state(again, at("12-20 20:01")) is ServerState.UNKNOWN
    assert again.troubled_since is None


@pytest.mark.parametrize(
    "schedule", ["0 * * * * ?", "0 0/4 * * * ?", "0,30 0 17 * * ?", "0 0,2 17 * * ?", "0 0/58 * * * ?"]
)
def test_a_schedule_with_a_pause_below_five_minutes_is_kept_and_says_that_it_is_not_watched(schedule: str) -> None:
    policy = tracked(changed("12-20 09:00", backup_schedule=schedule))

    assert policy.policy
    assert policy.policy.schedule_problem == (
        f"schedule {schedule}: fires more often than every 5 minutes, which is the shortest pause that is watched"
    )
    assert policy.expected_at is None
    # The next message may bring one that is watched.
    assert policy.after(changed("12-20 10:00")).expected_at == at("12-20 17:00")


@pytest.mark.parametrize(
    "schedule", ["0 0/5 * * * ?", "0 0/15 * * * ?", "30 55 * * * ?", "0 0,5 17 * * ?", "0 58 23 * * ?"]
)
def test_a_schedule_with_a_pause_of_five_minutes_is_watched(schedule: str) -> None:
    assert tracked(changed("12-20 09:00", backup_schedule=schedule)).expected_at is not None


def test_misses_of_one_policy_are_reported_in_their_order() -> None:
    policy = tracked(changed("12-20 09:00", backup_schedule="0 0/5 * * * ?"))
    found = []
    while report := policy.report_due(at("12-20 10:16")):
        policy = policy.after_report(report.event, LONG_AGO)
        found.append(report.event)

    assert [event.event_type for event in found] == [EventType.MISSING] * 3
    dates = [event.expected_date for event in found if isinstance(event, BackupMissed)]
    assert dates == [at("12-20 09:05"), at("12-20 09:10"), at("12-20 09:15")]
