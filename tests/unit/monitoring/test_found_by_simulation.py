"""The smallest stories of what the simulation has found."""

from __future__ import annotations

from backup_webhooks.monitoring.server_policies import TrackedPolicy

from tests.support.policies import LONG_AGO, POLICY_ID, at, changed, every, finished, misses, started, tracked


def test_a_longer_run_limit_is_no_other_interval() -> None:
    policy = tracked(
        every(6, "12-19 09:00"),
        finished("12-19 10:00", "12-19 11:00"),
        every(6, "12-19 17:30", longest_run_minutes=600),
    )

    assert misses(policy, as_of="12-19 18:30") == ["12-19 17:00"]


def test_after_a_stale_time_the_age_limit_of_the_next_success_is_in_the_index() -> None:
    policy = tracked(changed("12-18 09:00", backup_schedule="0 0 17 ? * WED", good_backup_age_hours=30))
    while report := policy.report_due(at("12-26 12:00")):
        policy = policy.after_report(report.event, LONG_AGO)
    assert policy.stale_since

    policy = policy.after(started("12-26 17:00")).after(finished("12-26 17:00", "12-26 18:00"))

    assert policy.deadline is not None
    assert policy.deadline <= at("12-28 00:00")


def test_a_start_dated_ahead_that_is_sent_twice_opens_no_run_after_its_end() -> None:
    ahead = started("12-20 17:00", restore_point_id="rp 12-20 17:00")
    end = finished("12-20 17:00", "12-20 17:10")
    policy = tracked(changed("12-18 09:00"))
    for message, sent_at in ((ahead, "12-19 17:00"), (end, "12-19 17:10"), (ahead, "12-19 17:40")):
        policy = policy.after(message, at(sent_at))

    assert policy.runs.waiting == ()


def test_after_a_gap_an_interval_still_counts_from_the_end_in_it() -> None:
    """The one report stands for 12:00 and for all that was missed until 04:00."""
    policy = tracked(every(2, "12-19 10:00"), finished("12-19 20:00", "12-19 20:45"))

    policy = policy.after_miss(at("12-20 04:30"))

    assert policy.expected_at == at("12-20 04:45")


def test_a_change_that_comes_late_counts_from_its_date_though_a_miss_was_reported_since() -> None:
    policy = TrackedPolicy("TEST", POLICY_ID).after(changed("12-18 09:00"), at("12-18 09:00"))
    policy = policy.after(started("12-18 17:00"))
    assert misses(policy, "12-19 18:01") == ["12-19 17:00"]
    policy = policy.after_miss(LONG_AGO)

    late = policy.after(changed("12-19 09:00", backup_schedule="0 0 11 * * ?"), at("12-19 19:00"))

    assert misses(late, "12-19 19:00") == ["12-19 11:00"]
