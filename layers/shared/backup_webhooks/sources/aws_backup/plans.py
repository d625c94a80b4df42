"""AWS Backup's plans: their rules' schedules, and the servers that these back up. Pure.

A server policy is a plan's rule and a resource. The shapes are those of `GetBackupPlan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.events.messages import ACTIVE, INACTIVE, LONGEST_RUN_MINUTES, ServerPolicyChanged
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.schedules.quartz import InvalidSchedule
from backup_webhooks.sources.aws_backup.names import identifier, name, server_id
from backup_webhooks.sources.aws_backup.schedules import ServerSchedule
from backup_webhooks.sources.aws_backup.selections import Selection

# AWS uses these for a rule that has none.
_START_WINDOW_MINUTES, _COMPLETION_WINDOW_MINUTES = 480, 10_080


class PlanRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A rule of a plan. `schedule` is None if it cannot be converted; `problem` then says why."""

    schedule: ServerSchedule | None = None
    start_window_minutes: int = _START_WINDOW_MINUTES
    completion_window_minutes: int = _COMPLETION_WINDOW_MINUTES
    problem: str | None = None

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> PlanRule:
        """Return the rule of an answer of `GetBackupPlan`."""
        windows = cls(
            start_window_minutes=int(rule.get("StartWindowMinutes") or _START_WINDOW_MINUTES),
            completion_window_minutes=int(rule.get("CompletionWindowMinutes") or _COMPLETION_WINDOW_MINUTES),
        )
        try:
            schedule = ServerSchedule.of(rule.get("ScheduleExpression"), rule.get("ScheduleExpressionTimezone"))
        except InvalidSchedule as error:
            return replace(windows, problem=str(error))
        return replace(windows, schedule=schedule)

    @property
    def start_window(self) -> timedelta:
        """How long after its scheduled start a job may wait."""
        return timedelta(minutes=self.start_window_minutes)

    @property
    def longest_run_minutes(self) -> int:
        """Return the time after which AWS itself would have ended a job, whichever window it counts from."""
        return min(self.start_window_minutes + self.completion_window_minutes, LONGEST_RUN_MINUTES)

    def fires_at(self, timestamp: datetime) -> bool:
        """Return whether the timestamp is a scheduled start of the rule."""
        return self.schedule is not None and self.schedule.fires_at(timestamp)


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A plan as it was read, with its rules by id."""

    plan_id: str
    name: str
    aws_account: str
    region: str
    rules: dict[str, PlanRule]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self | None:
        """Return the plan of an answer of `GetBackupPlan`, or None if it has been deleted."""
        if answer.get("DeletionDate"):
            return None
        plan = answer["BackupPlan"]
        # arn:aws:backup:us-west-2:111122223333:backup-plan:83fcb8ee-…
        _, _, _, region, aws_account, *_ = answer["BackupPlanArn"].split(":")
        rules = {rule["RuleId"]: PlanRule.of(rule) for rule in plan["Rules"]}
        return cls(
            plan_id=answer["BackupPlanId"],
            name=plan["BackupPlanName"],
            aws_account=aws_account,
            region=region,
            rules=rules,
        )


class PlannedServer(Struct, frozen=True):
    """A rule and a resource that it backs up, as far as they are known.

    `last_job_at` is when the newest job was created, or None if none has been seen. `published` is the last message
    about the server on BackupEventsQueue, or None.
    """

    server_policy_id: str
    plan_id: str
    rule_id: str
    resource_arn: str
    resource_name: str | None = None
    last_job_at: datetime | None = None
    published: ServerPolicyChanged | None = None

    @property
    def is_expected(self) -> bool:
        """Whether backups are expected by the last message."""
        return self.published is not None and self.published.server_policy_status == ACTIVE

    def is_selected(self, rule: PlanRule, selections: Sequence[Selection], now: datetime) -> bool:
        """Return whether to expect backups: the resource is listed, or it may be selected and had a recent job.

        AWS makes a job for each selected resource at each scheduled start. A resource without one has lost its tag, or
        is deleted.
        """
        if any(selection.lists(self.resource_arn) for selection in selections):
            return True
        return self.had_recent_job(rule, now) and any(
            selection.may_select(self.resource_arn) for selection in selections
        )

    def had_recent_job(self, rule: PlanRule, now: datetime) -> bool:
        """Return whether a job was created within twice the longest pause of the rule's schedule."""
        if rule.schedule is None or self.last_job_at is None:
            return False
        return now - self.last_job_at <= rule.schedule.longest_silence(self.last_job_at)

    def activation(self, plan: BackupPlan, account: str, now: datetime) -> ServerPolicyChanged | None:
        """Return the message that backups are expected, or None if it is published already or no start is to come."""
        rule = plan.rules[self.rule_id]
        schedule = rule.schedule
        if schedule is None or schedule.next_after(now) is None:
            return None
        policy = ServerPolicyChanged(
            server_policy_id=self.server_policy_id,
            account_policy_id=identifier(self.plan_id),
            name=name(plan.name),
            clc_account_alias=account,
            server_id=server_id(self.resource_arn, self.resource_name),
            storage_region=name(plan.region),
            account_policy_status=ACTIVE,
            server_policy_status=ACTIVE,
            # Not the plan's own date: earlier starts, whose jobs are not known here, would be reported as missed.
            changed_date=self._later_than_published(now),
            backup_schedule=schedule.backup_schedule,
            backup_interval_hours=schedule.backup_interval_hours,
            timezone=schedule.timezone,
            longest_run_minutes=rule.longest_run_minutes,
        )
        return policy if _differs(policy, self.published) else None

    def deactivation(self, now: datetime, *, plan_exists: bool) -> ServerPolicyChanged | None:
        """Return the message that no more backups are expected, or None if none are expected already."""
        if self.published is None or not self.is_expected:
            return None
        policy = replace(
            self.published,
            account_policy_status=ACTIVE if plan_exists else INACTIVE,
            server_policy_status=INACTIVE,
            changed_date=self._later_than_published(now),
        )
        # If the schedule has ended, no backup is expected anyway.
        schedule = ServerSchedule(
            backup_schedule=policy.backup_schedule,
            backup_interval_hours=policy.backup_interval_hours,
            timezone=policy.timezone,
        )
        return policy if schedule.next_after(now) else None

    def _later_than_published(self, now: datetime) -> Timestamp:
        # Clocks differ, and consumers ignore a change that is not newer than the last one.
        if self.published:
            now = max(now, self.published.changed_date + timedelta(milliseconds=1))
        return Timestamp.of(now)

    def after(self, published: ServerPolicyChanged) -> Self:
        """Return the server once that message is published."""
        return replace(self, published=published)


def _differs(policy: ServerPolicyChanged, published: ServerPolicyChanged | None) -> bool:
    return published is None or replace(published, changed_date=policy.changed_date) != policy
