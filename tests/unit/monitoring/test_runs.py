"""Open runs: which start opens one, which end closes it, and when it is reported as unfinished (design section 7)."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from backup_webhooks.events.messages import BackupStarted, BackupUnfinished, ServerPolicyChanged
from backup_webhooks.monitoring.runs import MOST_OPEN
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.state import ServerState, server_state
from msgspec.structs import replace

from tests.support.policies import LONG_AGO, at, changed, every, finished, started, tracked

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHTLY = changed("12-01 09:00")
SINCE_19 = changed("12-19 09:00")


def reports(policy: TrackedPolicy, as_of: str) -> list[tuple[str, str]]:
    """Return the start and the limit of each run that is unfinished if all messages up to `as_of` are recorded."""
    found = []
    while report := policy.report_due(at(as_of)):
        policy = policy.after_report(report.event, LONG_AGO)
        if isinstance(report.event, BackupUnfinished):
            event = report.event
            found.append((f"{event.backup_started_date:%m-%d %H:%M}", f"{event.run_limit_date:%m-%d %H:%M}"))
    return found


def limit(policy: ServerPolicyChanged | None, start: str) -> timedelta:
    """Return the run limit of a run that starts then."""
    messages: list[PolicyMessage] = [policy] if policy else []
    (run,) = tracked(*messages, started(start)).runs.waiting
    return run.limit_at - run.started_at


@pytest.mark.parametrize(
    ("policy", "start", "expected"),
    [
        (None, "12-20 17:00", 24 * HOUR),
        (NIGHTLY, "12-20 17:00", 24 * HOUR),
        # Within 5 minutes of skew it is the run of that time.
        (NIGHTLY, "12-20 16:56", 24 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 17 ? * MON"), "12-17 17:00", 48 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 17 1 * ?"), "12-04 17:00", 48 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 17 ? * MON-FRI"), "12-20 17:00", 24 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 17 ? * MON-FRI"), "12-21 17:00", 48 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 * * * ?"), "12-20 17:00", 3 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0/5 * * * ?"), "12-20 17:00", 3 * HOUR),
        # From 02:00 to 08:00, and from 08:00 to 02:00.
        (changed("12-01 09:00", backup_schedule="0 0 2,8 * * ?"), "12-20 02:10", 6 * HOUR),
        (changed("12-01 09:00", backup_schedule="0 0 2,8 * * ?"), "12-20 07:56", 18 * HOUR),
        # The last time of a schedule that ends.
        (changed("12-01 09:00", backup_schedule="0 0 17 20 12 ? 2018"), "12-20 17:00", 48 * HOUR),
        (every(6, "12-20 09:00"), "12-20 17:00", 6 * HOUR),
        (every(1, "12-20 09:00"), "12-20 17:00", 3 * HOUR),
        (every(100, "12-20 09:00"), "12-20 17:00", 48 * HOUR),
        (changed("12-01 09:00", longest_run_minutes=5), "12-20 17:00", timedelta(minutes=5)),
        (changed("12-01 09:00", longest_run_minutes=525_600), "12-20 17:00", 365 * DAY),
    ],
)
def test_the_run_limit_follows_from_the_policy(
    policy: ServerPolicyChanged | None, start: str, expected: timedelta
) -> None:
    assert limit(policy, start) == expected


def test_a_run_is_unfinished_once_when_its_limit_has_passed() -> None:
    policy = tracked(SINCE_19, finished("12-19 17:00", "12-19 17:30"), started("12-20 17:00"))

    assert reports(policy, "12-21 17:00") == []
    assert reports(policy, "2018-12-21T17:00:01Z") == [("12-20 17:00", "12-21 17:00")]
    assert policy.deadline == at("12-21 17:00")


def test_the_limit_counts_from_the_arrival_of_the_first_message_and_a_change_of_the_policy_leaves_it() -> None:
    policy = tracked(NIGHTLY).after(started("12-20 17:00"), at("12-20 23:00"))
    again = policy.after(started("12-20 17:00"), at("12-21 05:00"))
    shorter = policy.after(changed("12-21 00:00", longest_run_minutes=5))

    for known in (policy, again, shorter):
        assert [run.limit_at for run in known.runs.waiting] == [at("12-21 23:00")]


def test_nights_of_starts_without_an_end_are_each_unfinished() -> None:
    policy, found = tracked(NIGHTLY, finished("12-01 17:00", "12-01 17:30")), list[datetime]()
    for night in range(25):
        start = at("12-02 17:00") + night * DAY
        policy = policy.after(started(f"{start:%Y-%m-%dT%H:%M:%SZ}"))
        while report := policy.report_due(start + DAY + timedelta(minutes=1)):
            policy = policy.after_report(report.event, LONG_AGO)
            found += [report.event.run_limit_date] if isinstance(report.event, BackupUnfinished) else []

    assert found == [at("12-03 17:00") + night * DAY for night in range(25)]
    assert policy.streaks.by_event_type["Backup.Unfinished"].count == 25  # type: ignore[index]
    assert server_state(policy, at("12-27 17:00")) is ServerState.UNFINISHED


def test_an_end_closes_its_own_run_and_those_before_it() -> None:
    runs = [started("12-20 16:00"), started("12-20 17:00"), started("12-20 17:04"), started("12-20 17:06")]
    own = started("12-20 19:00", restore_point_id="rp 12-20 17:00")

    closed = tracked(*runs, own, finished("12-20 17:00", "12-20 17:30"))

    assert [run.started_at for run in closed.runs.waiting] == [at("12-20 17:06")]


def test_an_end_closes_a_run_that_was_reported_as_unfinished_and_is_a_recovery() -> None:
    policy = tracked(SINCE_19, finished("12-19 17:00", "12-19 17:30"), started("12-20 17:00"))
    report = policy.report_due(at("12-22 00:00"))
    assert report
    policy = policy.after_report(report.event, LONG_AGO)
    assert server_state(policy, at("12-21 17:30")) is ServerState.UNFINISHED
    end = finished("12-20 17:00", "12-22 03:00")

    after = policy.after(end)

    assert after.runs.unfinished is None
    recovered = after.recovery(end)
    assert recovered
    assert (recovered.unfinished, recovered.missed, recovered.failing_since_date) == (1, 0, at("12-21 17:00"))


@pytest.mark.parametrize("status", ["SUCCESS", "PARTIAL_SUCCESS", "FAILED", "CANCELLED"])
def test_every_end_closes_its_run(status: str) -> None:
    assert tracked(started("12-20 17:00"), finished("12-20 17:00", "12-20 17:30", status)).runs.waiting == ()


def test_messages_in_any_order_leave_the_same_runs_open() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    messages: list[PolicyMessage] = [started("12-20 12:30"), started("12-20 23:00"), NIGHTLY]
    for hour in (10, 12, 14, 17, 20):
        messages += [started(f"12-20 {hour}:00"), finished(f"12-20 {hour}:00", f"12-20 {hour}:40", "CANCELLED")]
    # A second message about each start is nothing new.
    messages += [message for message in messages if isinstance(message, BackupStarted)]

    for _ in range(50):
        chance.shuffle(messages)
        assert [run.started_at for run in tracked(*messages).runs.waiting] == [at("12-20 23:00")]


def test_a_start_that_comes_twice_is_reported_once() -> None:
    policy = tracked(NIGHTLY, started("12-20 17:00"))
    report = policy.report_due(at("12-22 00:00"))
    assert report
    policy = policy.after_report(report.event, LONG_AGO)

    assert policy.after(started("12-20 17:00"), at("12-22 00:00")) == policy


def test_a_start_older_than_what_is_remembered_opens_no_run() -> None:
    policy = tracked(NIGHTLY, started("12-20 17:00"))

    assert policy.after(started("12-18 16:59"), at("12-20 18:00")).runs == policy.runs
    assert len(policy.after(started("12-18 17:01"), at("12-20 18:00")).runs.waiting) == 2


def test_inactive_and_unwatched_policies_open_no_runs_and_drop_theirs() -> None:
    running = tracked(NIGHTLY, started("12-20 17:00"))
    inactive = running.after(changed("12-20 18:00", server_policy_status="INACTIVE"))
    unwatched = running.watching(False, at("12-20 18:00"))

    for policy in (inactive, unwatched):
        assert policy.runs.waiting == ()
        assert policy.after(started("12-20 19:00")).runs.waiting == ()
    active = inactive.after(changed("12-20 20:00")).after(started("12-20 21:00"))
    assert [run.started_at for run in active.runs.waiting] == [at("12-20 21:00")]


def test_of_very_many_open_runs_the_oldest_are_kept() -> None:
    starts = [started(f"{at('12-20 00:00') + place * timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}") for place in range(150)]

    waiting = tracked(*starts).runs.waiting

    assert [run.started_at for run in waiting] == [start.backup_started_date for start in starts[:MOST_OPEN]]


def test_an_interval_waits_for_an_open_run_as_long_as_its_limit() -> None:
    longer = every(6, "12-20 09:00", longest_run_minutes=30 * 60)
    usual = every(6, "12-20 09:00")

    assert tracked(usual, started("12-20 15:00")).expected_at == at("12-21 15:00")
    assert tracked(longer, started("12-20 15:00")).expected_at == at("12-21 21:00")


def test_no_end_writes_the_index() -> None:
    """A write of the index costs two units, and each backup has an end."""
    for policy in (NIGHTLY, every(6, "12-20 09:00"), every(48, "12-20 09:00"), replace(NIGHTLY, longest_run_minutes=5)):
        for status in ("SUCCESS", "FAILED", "CANCELLED"):
            running = tracked(policy, started("12-20 17:00"))
            assert running.deadline
            ended = running.after(finished("12-20 17:00", "12-20 17:01", status))

            assert ended.deadline == running.deadline
            assert ended.judged_anew().deadline >= ended.deadline  # type: ignore[operator]


def test_the_deadline_in_the_index_is_moved_once_it_has_passed() -> None:
    policy = changed("12-20 09:00")
    ended = tracked(policy, started("12-20 17:00"), finished("12-20 17:00", "12-20 17:30"))

    assert ended.deadline == at("12-21 17:00")
    assert ended.report_due(at("12-21 17:01")) is None
    assert ended.judged_anew().deadline == at("12-21 18:00")
