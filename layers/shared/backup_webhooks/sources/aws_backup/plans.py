"""AWS Backup's plans: their rules' schedules, and the servers that these back up. Pure.

A server policy is a plan's rule and a resource. Shapes are those of `GetBackupPlan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.events.messages import ACTIVE, INACTIVE, ServerPolicyChanged
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.schedules.quartz import InvalidSchedule
from backup_webhooks.sources.aws_backup.names import identifier, name, server
from backup_webhooks.sources.aws_backup.schedules import ServerSchedule
from backup_webhooks.sources.aws_backup.selections import Selection

# AWS's own, where a rule says nothing.
_START_WINDOW_MINUTES = 480


class PlanRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A rule. `schedule` is None where it can't be expressed; `problem` then says why."""

    schedule: ServerSchedule | None = None
    start_window_minutes: int = _START_WINDOW_MINUTES
    problem: str | None = None

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> PlanRule:
        """The rule as `GetBackupPlan` has it."""
        window = int(rule.get("StartWindowMinutes") or _START_WINDOW_MINUTES)
        try:
            schedule = ServerSchedule.of(rule.get("ScheduleExpression"), rule.get("ScheduleExpressionTimezone"))
        except InvalidSchedule as error:
            return cls(start_window_minutes=window, problem=str(error))
        return cls(schedule=schedule, start_window_minutes=window)

    @property
    def start_window(self) -> timedelta:
        """For how long after its scheduled start a job may wait."""
        return timedelta(minutes=self.start_window_minutes)

    def fires_at(self, timestamp: datetime) -> bool:
        """Whether the moment is a scheduled start of the rule."""
        return self.schedule is not None and self.schedule.fires_at(timestamp)


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A plan as it was read. `rules` by their ids."""

    plan_id: str
    name: str
    aws_account: str
    region: str
    rules: dict[str, PlanRule]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self | None:
        """The plan that `GetBackupPlan` answers with; None where it has been deleted."""
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
    """A rule and a resource, as far as they are known.

    `last_job_at`: when the newest of its jobs that were heard of was created; None for one that is only listed. `told`:
    what BackupEventsQueue was told of it last.
    """

    server_policy_id: str
    plan_id: str
    rule_id: str
    resource_arn: str
    resource_name: str | None = None
    last_job_at: datetime | None = None
    told: ServerPolicyChanged | None = None

    @property
    def is_expected(self) -> bool:
        """Whether the newest that was told of it is that backups are expected."""
        return self.told is not None and self.told.server_policy_status == ACTIVE

    def is_selected(self, rule: PlanRule, selections: Sequence[Selection], now: datetime) -> bool:
        """Whether a backup of it is to be expected: it is listed, or it may be selected and has had a job of late.

        AWS makes a job at each scheduled start of whatever is selected. One without is no longer tagged, or no longer
        there.
        """
        if any(selection.lists(self.resource_arn) for selection in selections):
            return True
        return self.had_a_job_of_late(rule, now) and any(
            selection.may_select(self.resource_arn) for selection in selections
        )

    def had_a_job_of_late(self, rule: PlanRule, now: datetime) -> bool:
        """Whether a job of it was created within twice the longest pause of the rule's schedule."""
        if rule.schedule is None or self.last_job_at is None:
            return False
        return now - self.last_job_at <= rule.schedule.longest_silence(self.last_job_at)

    def expecting(self, plan: BackupPlan, account: str, now: datetime) -> ServerPolicyChanged | None:
        """What is to be told of it where backups are expected; None where that was told, or no start is to come."""
        schedule = plan.rules[self.rule_id].schedule
        if schedule is None or schedule.next_after(now) is None:
            return None
        policy = ServerPolicyChanged(
            server_policy_id=self.server_policy_id,
            account_policy_id=identifier(self.plan_id),
            name=name(plan.name),
            clc_account_alias=account,
            server_id=server(self.resource_arn, self.resource_name),
            storage_region=name(plan.region),
            account_policy_status=ACTIVE,
            server_policy_status=ACTIVE,
            # Not the plan's own date: times before this one would be taken for missed, and no one knows them answered.
            changed_date=self._later_than_told(now),
            backup_schedule=schedule.backup_schedule,
            backup_interval_hours=schedule.backup_interval_hours,
            timezone=schedule.timezone,
        )
        return policy if _differs(policy, self.told) else None

    def no_longer_expecting(self, now: datetime, *, plan_is_there: bool) -> ServerPolicyChanged | None:
        """What is to be told of it where no more backups are expected; None where none are already."""
        if self.told is None or not self.is_expected:
            return None
        policy = msgspec.structs.replace(
            self.told,
            account_policy_status=ACTIVE if plan_is_there else INACTIVE,
            server_policy_status=INACTIVE,
            changed_date=self._later_than_told(now),
        )
        # A message must have a schedule with a time to come. Of one that has ended nothing is expected anyhow.
        schedule = ServerSchedule(
            backup_schedule=policy.backup_schedule,
            backup_interval_hours=policy.backup_interval_hours,
            timezone=policy.timezone,
        )
        return policy if schedule.next_after(now) else None

    def _later_than_told(self, now: datetime) -> Timestamp:
        """Clocks differ, and what is not newer than what is known is ignored."""
        return Timestamp.of(max(now, self.told.changed_date + timedelta(milliseconds=1)) if self.told else now)

    def after(self, told: ServerPolicyChanged) -> Self:
        """The same once that was told."""
        return replace(self, told=told)


def _differs(policy: ServerPolicyChanged, told: ServerPolicyChanged | None) -> bool:
    return told is None or msgspec.structs.replace(told, changed_date=policy.changed_date) != policy
