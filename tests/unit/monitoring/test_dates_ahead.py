"""The future is not believed, and the past has an end (design section 5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.events.messages import BackupUnfinished, EventType
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState, server_state
from backup_webhooks.monitoring.streaks import Place

from tests.support.policies import LONG_AGO, at, changed, finished, misses, started, tracked

NIGHTLY = changed("12-20 09:00")
DAY = timedelta(days=1)


def test_an_end_dated_years_ahead_hides_no_failure_after_it() -> None:
    policy = tracked(NIGHTLY).after(finished("12-20 17:00", "2036-01-01T00:00:00Z"), at("12-20 17:30"))
    assert (policy.streaks.last_success_at, policy.history.last_finished_at) == (at("12-20 17:30"),) * 2

    for day in (21, 22):
        end = finished(f"12-{day} 17:00", f"12-{day} 17:30", "FAILED")
        policy = policy.after(end, at(f"12-{day} 17:30"))
        assert server_state(policy, at(f"12-{day} 17:31")) is ServerState.FAILED
        assert policy.place(end, at(f"12-{day} 17:30")) == Place(at(f"12-{day} 17:30"), at("12-21 17:30"))
    assert policy.streaks.by_event_type[EventType.FAILURE].count == 2
    success = finished("12-23 17:00", "12-23 17:30")
    recovered = policy.after(success).recovery(success)
    assert recovered
    assert recovered.failed == 2


def test_a_recovery_is_found_by_the_judged_date_and_carries_the_date_as_sent() -> None:
    policy = tracked(NIGHTLY, finished("12-20 17:00", "12-20 17:30", "FAILED"))
    end, sent_at = finished("12-21 17:00", "2036-01-01T00:00:00Z"), at("12-21 17:30")

    recovered = policy.after(end, sent_at).recovery(end, sent_at)

    assert recovered
    assert recovered.backup_finished_date == at("2036-01-01T00:00:00Z")
    # It comes again, as the function was killed.
    assert policy.after(end, sent_at).after(end, sent_at) == policy.after(end, sent_at)


@pytest.mark.parametrize(("minutes", "is_believed"), [(5, True), (6, False)])
def test_five_minutes_ahead_are_believed(minutes: int, is_believed: bool) -> None:
    sent_at = at("12-20 17:00")
    ahead = started(f"12-20 17:0{minutes}")

    assert tracked().after(ahead, sent_at).history.starts == (at(f"12-20 17:0{minutes}") if is_believed else sent_at,)


def test_a_start_dated_ahead_answers_the_present_and_is_posted_as_it_was_sent() -> None:
    policy = tracked(NIGHTLY).after(started("2036-01-01T00:00:00Z"), at("12-20 17:02"))

    assert misses(policy, "12-21 00:00") == []
    assert misses(policy, "12-21 18:01") == ["12-21 17:00"]
    report = policy.report_due(at("12-22 00:00"))
    assert report
    assert isinstance(report.event, BackupUnfinished)
    assert report.event.backup_started_date == at("2036-01-01T00:00:00Z")
    assert report.event.run_limit_date == at("12-21 17:02")


def test_a_change_dated_ahead_blocks_no_later_one() -> None:
    ahead = changed("2036-01-01T00:00:00Z", backup_schedule="0 0 3 * * ?")
    policy = TrackedPolicy("TEST", "sp").after(ahead, at("12-20 09:00"))
    assert policy.expected_at == at("12-21 03:00")

    later = policy.after(changed("12-20 10:00"), at("12-20 10:00"))
    assert later.expected_at == at("12-20 17:00")
    also_ahead = policy.after(changed("2036-01-01T00:00:00Z", backup_schedule="0 0 4 * * ?"), at("12-20 10:00"))
    assert also_ahead.expected_at == at("12-21 04:00")


@pytest.mark.parametrize("believed_first", [True, False])
def test_a_change_dated_ahead_never_outranks_one_that_is_believed(believed_first: bool) -> None:
    believed = (changed("12-20 09:00"), at("12-20 09:00"))
    ahead = (changed("2036-01-01T00:00:00Z", name="Ahead"), at("12-20 12:00"))
    policy = TrackedPolicy("TEST", "sp")

    for message, sent_at in (believed, ahead) if believed_first else (ahead, believed):
        policy = policy.after(message, sent_at)

    assert policy.policy
    assert policy.policy.account_policy_name == NIGHTLY.name


@pytest.mark.parametrize("later_first", [True, False])
def test_with_the_same_changed_date_the_message_that_was_sent_later_counts(later_first: bool) -> None:
    earlier = (changed("12-20 09:00", name="Earlier"), at("12-20 09:00"))
    later = (changed("12-20 09:00", name="Later"), at("12-20 09:01"))
    policy = TrackedPolicy("TEST", "sp")

    for message, sent_at in (later, earlier) if later_first else (earlier, later):
        policy = policy.after(message, sent_at)

    assert policy.policy
    assert policy.policy.account_policy_name == "Later"
    assert policy.after(*later) == policy


def test_no_start_is_expected_before_a_policy_was_known() -> None:
    first, sent_at = changed("2013-12-20T09:00:00Z"), at("12-20 18:30")
    policy = TrackedPolicy("TEST", "sp").after(first, sent_at)

    assert misses(policy, "12-21 18:00") == []
    inactive = policy.after(changed("12-20 18:31", server_policy_status="INACTIVE"), at("12-20 18:31"))
    assert misses(inactive, "12-31 00:00") == []


def test_when_the_clocks_go_back_no_miss_of_an_hourly_backup_is_lost() -> None:
    """From a time in the hour that comes twice, Quartz searches as if in its second pass."""
    hourly = changed("2018-10-27T20:30:00Z", backup_schedule="0 0 * * * ?", timezone="Europe/Berlin")
    starts = ["2018-10-27T21:00:03Z", "2018-10-27T22:00:03Z", "2018-10-27T23:00:03Z", "2018-10-27T23:57:00Z"]

    policy = tracked(hourly, *map(started, starts), started("2018-10-28T02:00:05Z"))

    assert misses(policy, "2018-10-28T03:00:00Z") == ["10-28 01:00"]


def test_a_gap_of_missed_backups_ends_at_a_time_of_the_schedule_when_the_clocks_go_back() -> None:
    hourly = changed("2018-10-27T20:30:00Z", backup_schedule="0 0 * * * ?", timezone="Europe/Berlin")
    policy = tracked(hourly)

    # It runs again at 01:02, so that the misses up to 00:02 are one report, in the hour that comes twice.
    after = policy.after_miss(at("2018-10-28T01:02:00Z"))

    assert after.expected_at == at("2018-10-28T01:00:00Z")


def test_misses_of_one_gap_are_one_report_however_long_the_pause() -> None:
    monthly = changed("2018-01-01T00:00:00Z", backup_schedule="0 0 17 1 * ?")

    assert tracked(monthly).after_miss(at("2018-04-15T00:00:00Z")).expected_at == at("2018-05-01T17:00:00Z")


def test_the_first_report_after_a_miss_counts_no_time_twice() -> None:
    policy = tracked(NIGHTLY)

    assert policy.after_miss(LONG_AGO).expected_at == NIGHTLY.changed_date.replace(hour=17) + DAY
