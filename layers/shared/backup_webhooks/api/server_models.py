"""Servers in the API: how each stands, and what became of the last days."""

from __future__ import annotations

from datetime import date
from typing import Self

from backup_webhooks.api.models import Model, Time
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.state import ServerState


class DayOut(Model):
    """The results of a day, UTC."""

    day: date
    success: int
    partial_success: int
    failed: int
    missed: int

    @classmethod
    def of(cls, day: date, results: DayCounts) -> Self:
        """The day's."""
        return cls(
            day=day,
            success=results.success,
            partial_success=results.partial_success,
            failed=results.failed,
            missed=results.missed,
        )


class DaysOut(Model):
    """The last 30 days, the oldest first."""

    items: list[DayOut]


class ServerPolicyOut(Model):
    """A server policy: how it stands, when a backup is expected next, and what became of the last 30 days."""

    server_policy_id: str
    server_id: str
    account_policy_id: str
    account_policy_name: str
    storage_region: str
    state: ServerState
    backup_schedule: str | None
    backup_interval_hours: int | None
    timezone: str | None
    last_started_at: Time | None
    last_finished_at: Time | None
    last_status: str | None
    next_expected_at: Time | None
    days: list[DayOut]

    @classmethod
    def of(cls, tracked: TrackedPolicy, state: ServerState, days: list[DayOut]) -> Self:
        """What is known of a server policy of which something was heard."""
        policy, about, history = tracked.policy, tracked.server_backup, tracked.history
        assert about is not None  # noqa: S101 - found by its account, which comes with it
        return cls(
            server_policy_id=tracked.server_policy_id,
            server_id=about.server_id,
            account_policy_id=about.account_policy_id,
            account_policy_name=about.account_policy_name,
            storage_region=about.storage_region,
            state=state,
            backup_schedule=policy.backup_schedule if policy else None,
            backup_interval_hours=policy.backup_interval_hours if policy else None,
            timezone=policy.timezone if policy else None,
            last_started_at=history.last_started_at,
            last_finished_at=history.last_finished_at,
            last_status=history.last_status,
            next_expected_at=tracked.expected_at if tracked.schedule else None,
            days=days,
        )


class ServerPoliciesOut(Model):
    """A page of the account's server policies, by server. `next` as in the deliveries."""

    items: list[ServerPolicyOut]
    next: str | None
