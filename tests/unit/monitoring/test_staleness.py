"""Staleness: when the last success is too old, and from when its age counts (design section 7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.events.messages import BackupStale, ServerPolicyChanged
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState, server_state

from tests.support.policies import LONG_AGO, at, changed, every, finished, started, tracked

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHTLY = changed("12-01 09:00")
WEEKDAYS = changed("12-01 09:00", backup_schedule="0 0 17 ? * MON-FRI")


def stale(policy: TrackedPolicy, as_of: str) -> tuple[TrackedPolicy, list[BackupStale]]:
    """Report all that is due, and return the policy then and its stale events."""
    found = []
    while report := policy.report_due(at(as_of)):
        policy = policy.after_report(report.event, LONG_AGO)
        found += [report.event] if isinstance(report.event, BackupStale) else []
    return policy, found


@pytest.mark.parametrize(
    ("policy", "success", "expected"),
    [
        # The second start has an hour, and its run a day.
        (NIGHTLY, "12-05 17:30", "12-08 18:00"),
        (changed("12-01 09:00", backup_schedule="0 0 17 ? * MON"), "12-03 17:30", "12-19 18:00"),
        # From Monday to Thursday, and from Thursday to Tuesday.
        (WEEKDAYS, "12-03 17:30", "12-06 18:00"),
        (WEEKDAYS, "12-06 17:30", "12-11 18:00"),
        (changed("12-01 09:00", backup_schedule="0 0 17 1 * ?"), "12-01 17:30", "2019-02-03T18:00:00Z"),
        (every(6, "12-01 09:00"), "12-05 17:30", "12-06 17:30"),
        (every(6, "12-01 09:00", longest_run_minutes=525_600), "12-05 17:30", "12-10 05:30"),
        (changed("12-01 09:00", good_backup_age_hours=30), "12-05 17:30", "12-06 23:30"),
        (changed("12-01 09:00", longest_run_minutes=60), "12-05 17:30", "12-07 19:00"),
        # The first schedule counts where no success is known.
        (NIGHTLY, None, "12-03 18:00"),
    ],
)
def test_the_age_limit_follows_from_the_policy(policy: ServerPolicyChanged, success: str | None, expected: str) -> None:
    end = f"{at(success):%m-%d %H:%M}" if success else None
    messages = [finished(f"{at(success) - HOUR / 2:%m-%d %H:%M}", end)] if success and end else []

    assert tracked(policy, *messages).stale_deadline == at(expected)


@pytest.mark.parametrize("status", ["PARTIAL_SUCCESS", "FAILED", "CANCELLED"])
def test_nights_without_a_success_are_stale_once(status: str) -> None:
    policy, found = tracked(NIGHTLY, finished("12-01 17:00", "12-01 17:30")), list[BackupStale]()
    for night in range(27):
        start = at("12-02 17:00") + night * DAY
        end = finished(f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{start + HOUR / 2:%Y-%m-%dT%H:%M:%SZ}", status)
        policy, events = stale(policy.after(end), f"{start + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}")
        found += events

    (event,) = found
    assert (event.since_date, event.age_limit_date) == (at("12-01 17:30"), at("12-04 18:00"))
    assert event.last_success_date == event.since_date
    assert server_state(policy, at("12-28 18:00")) is ServerState.STALE


def test_a_success_ends_it_and_the_next_age_is_reported_again() -> None:
    policy, (first,) = stale(tracked(NIGHTLY), "12-04 00:00")
    end = finished("12-05 17:00", "12-05 17:30")
    recovered = policy.after(end)

    message = recovered.recovery(end)
    assert message
    assert (message.stale, message.missed, message.unfinished) == (1, 3, 0)
    assert recovered.stale_since is None
    assert first.last_success_date is None
    assert [event.since_date for event in stale(recovered, "12-10 00:00")[1]] == [at("12-05 17:30")]


@pytest.mark.parametrize("schedule", ["0 0 17 20 12 ? 2018", "0 0 17 20-22 12 ? 2018"])
def test_a_schedule_without_a_time_to_come_is_never_stale(schedule: str) -> None:
    for age in (None, 1):
        policy = tracked(changed("12-01 09:00", backup_schedule=schedule, good_backup_age_hours=age))
        _, events = stale(policy, "2020-01-01T00:00:00Z")

        assert [event for event in events if event.age_limit_date > at("12-22 17:00")] == []


def test_a_pause_in_which_a_start_fell_begins_anew() -> None:
    policy, _ = stale(tracked(NIGHTLY), "12-04 00:00")
    inactive = policy.after(changed("12-10 00:00", server_policy_status="INACTIVE"))
    assert stale(inactive, "12-31 00:00")[1] == []

    again = inactive.after(changed("12-20 00:00"))

    assert again.stale_since is None
    assert again.stale_deadline == at("12-22 18:00")


def test_a_pause_between_two_starts_changes_nothing() -> None:
    policy = tracked(NIGHTLY, finished("12-05 17:00", "12-05 17:30"))

    for paused in (
        policy.after(changed("12-06 10:00", server_policy_status="INACTIVE")).after(changed("12-06 12:00")),
        policy.watching(False, at("12-06 10:00")).watching(True, at("12-06 12:00")),
    ):
        assert paused.stale_deadline == policy.stale_deadline == at("12-08 18:00")


def test_a_change_of_schedule_makes_no_earlier_success_stale_at_once() -> None:
    weekly = tracked(changed("12-01 09:00", backup_schedule="0 0 17 ? * MON"), finished("12-03 17:00", "12-03 17:30"))

    nightly = weekly.after(changed("12-09 12:00"))
    assert nightly.stale_deadline == at("12-11 18:00")
    # A limit that would pass later still holds.
    early = weekly.after(changed("12-05 12:00"))
    assert early.stale_deadline == at("12-06 18:00")


def test_a_change_of_schedule_repeats_no_report() -> None:
    policy, (_,) = stale(tracked(NIGHTLY), "12-04 00:00")

    assert stale(policy.after(changed("12-05 12:00", backup_schedule="0 0 3 * * ?")), "12-31 00:00")[1] == []


@pytest.mark.parametrize("days_late", [0, 5, 400])
def test_a_redriven_first_schedule_counts_from_its_arrival(days_late: int) -> None:
    sent_at = at("12-01 09:00") + days_late * DAY
    policy = TrackedPolicy("TEST", "sp").after(NIGHTLY, sent_at)

    assert policy.stale_deadline == (sent_at.replace(hour=18) + 2 * DAY)


def test_without_a_schedule_nothing_is_stale() -> None:
    policy = tracked(finished("12-01 17:00", "12-01 17:30"), started("12-02 17:00"))

    assert policy.stale_deadline is None
    assert stale(policy, "2020-01-01T00:00:00Z")[1] == []
