"""Models of the server policies and of daily counts."""

from __future__ import annotations

from datetime import date
from typing import Self

from backup_webhooks.api.models import Input, Model, TimestampOut
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState


class DayOut(Model):
    """The counts of a day, UTC."""

    day: date
    success: int
    partial_success: int
    failed: int
    missed: int
    unfinished: int

    @classmethod
    def of(cls, day: date, counts: DayCounts) -> Self:
        """Return the answer for a day."""
        return cls(
            day=day,
            success=counts.success,
            partial_success=counts.partial_success,
            failed=counts.failed,
            missed=counts.missed,
            unfinished=counts.unfinished,
        )


class DaysOut(Model):
    """The counts of the last 30 days, the oldest first."""

    items: list[DayOut]


class ServerPolicyOut(Model):
    """A server policy: its state, the expected start of its next backup, and the counts of its last 30 days.

    `scheduleProblem`: why its schedule is not watched, if so; none is expected then. `unfinishedSince`: the start of
    the newest backup that was reported as unfinished, if it is. `staleSince`: since when it lacks a success, if that
    was reported. `runningSince`: the start of the newest backup that has not ended and is within its limit.
    """

    server_policy_id: str
    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    state: ServerState
    watched: bool
    troubled_since: TimestampOut | None
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str | None
    longest_run_minutes: int | None
    good_backup_age_hours: int | None
    last_started_at: TimestampOut | None
    last_finished_at: TimestampOut | None
    last_status: str | None
    last_success_at: TimestampOut | None
    running_since: TimestampOut | None
    unfinished_since: TimestampOut | None
    stale_since: TimestampOut | None
    next_expected_at: TimestampOut | None
    schedule_problem: str | None
    days: list[DayOut]

    @classmethod
    def of(cls, tracked: TrackedPolicy, state: ServerState, days: list[DayOut]) -> Self:
        """Return the answer for a tracked policy."""
        policy, identity, history, runs = tracked.policy, tracked.identity, tracked.history, tracked.runs
        assert identity is not None  # noqa: S101 - the first message brings it
        return cls(
            server_policy_id=tracked.server_policy_id,
            server_id=identity.server_id,
            account_policy_id=identity.account_policy_id,
            account_policy_name=identity.account_policy_name,
            storage_region=identity.storage_region,
            state=state,
            watched=tracked.watched,
            troubled_since=tracked.troubled_since,
            backup_schedule=policy.backup_schedule if policy else None,
            backup_interval_hours=policy.backup_interval_hours if policy else None,
            timezone=policy.timezone if policy else None,
            longest_run_minutes=policy.longest_run_minutes if policy else None,
            good_backup_age_hours=policy.good_backup_age_hours if policy else None,
            last_started_at=history.last_started_at,
            last_finished_at=history.last_finished_at,
            last_status=history.last_status,
            last_success_at=tracked.streaks.last_success_at,
            running_since=runs.waiting[-1].started_at if runs.waiting else None,
            unfinished_since=runs.unfinished.started_at if runs.unfinished else None,
            stale_since=tracked.stale_since,
            next_expected_at=tracked.expected_at if tracked.schedule else None,
            schedule_problem=policy.schedule_problem if policy else None,
            days=days,
        )


class ServerPoliciesOut(Model):
    """A page of the account's server policies, by server. `next`: the cursor of the next page; null on the last one."""

    items: list[ServerPolicyOut]
    next: str | None
    by_beginning: bool


class TroubledServerPoliciesOut(Model):
    """A page of the account's server policies that need attention, the longest first. `next`: as in the whole list."""

    items: list[ServerPolicyOut]
    next: str | None


class WatchIn(Input):
    """Whether backups of the server policy are expected."""

    watched: bool
