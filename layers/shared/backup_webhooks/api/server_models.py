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

    @classmethod
    def of(cls, day: date, counts: DayCounts) -> Self:
        """Return the answer for a day."""
        return cls(
            day=day,
            success=counts.success,
            partial_success=counts.partial_success,
            failed=counts.failed,
            missed=counts.missed,
        )


class DaysOut(Model):
    """The counts of the last 30 days, the oldest first."""

    items: list[DayOut]


class ServerPolicyOut(Model):
    """A server policy: its state, the expected start of its next backup, and the counts of its last 30 days.

    `scheduleProblem`: why its schedule cannot be used any more, if so; none is expected then.
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
    last_started_at: TimestampOut | None
    last_finished_at: TimestampOut | None
    last_status: str | None
    next_expected_at: TimestampOut | None
    schedule_problem: str | None
    days: list[DayOut]

    @classmethod
    def of(cls, tracked: TrackedPolicy, state: ServerState, days: list[DayOut]) -> Self:
        """Return the answer for a tracked policy."""
        policy, identity, history = tracked.policy, tracked.identity, tracked.history
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
            last_started_at=history.last_started_at,
            last_finished_at=history.last_finished_at,
            last_status=history.last_status,
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
