"""AWS Backup's jobs as messages of BackupEventsQueue. Pure.

A job is read from an EventBridge event, "Backup Job State Change", or from what `ListBackupJobs` answers; both say the
same with other capitals, so one reading serves both, and both make the same message. Shapes:
https://docs.aws.amazon.com/aws-backup/latest/devguide/eventbridge.html and .../API_BackupJob.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct

from backup_webhooks.aws.errors import InvalidMessage
from backup_webhooks.events.messages import BackupFinished, BackupMissed, BackupStarted, BackupStatus
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.sources.aws_backup import fields
from backup_webhooks.sources.aws_backup.names import identifier, name, server
from backup_webhooks.sources.aws_backup.plans import BackupPlan

# What stands for the plan of a backup that somebody started by hand.
ON_DEMAND_ID, ON_DEMAND_NAME = "on-demand", "On demand"

# AWS's state to ours. ABORTED is a failure: there is no restore point, and for whatever reason it was stopped, somebody
# who relies on it has to know.
_STATUS_OF_STATE = {
    "COMPLETED": BackupStatus.SUCCESS,
    "PARTIAL": BackupStatus.PARTIAL_SUCCESS,
    "FAILED": BackupStatus.FAILED,
    "ABORTED": BackupStatus.FAILED,
}


class Stage(StrEnum):
    """What there is to tell of a job, each once: that it runs, and how it ended."""

    STARTED = "started"
    ENDED = "ended"


type JobMessage = BackupStarted | BackupFinished | BackupMissed


class BackupJob(Struct, frozen=True):
    """A job in one of its states. Moments are cut to the second: AWS's text form says no more, and the same job must be
    the same message whichever way it is heard of.

    `ended_at` is None where AWS gives no completion date; `heard_at` is then what its end is dated by: the time of the
    event, or the job's creation. `plan_id` and `rule_id` are None of a job that no plan made.
    """

    job_id: str
    state: str
    aws_account: str
    region: str
    resource_arn: str
    created_at: Timestamp
    heard_at: Timestamp
    ended_at: Timestamp | None = None
    start_by: Timestamp | None = None
    status_message: str = ""
    recovery_point_arn: str | None = None
    plan_id: str | None = None
    rule_id: str | None = None
    resource_name: str | None = None
    bytes_transferred: int | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self | None:
        """The job of an event; None where there is nothing to tell of it. `InvalidMessage` names a field at fault."""
        detail = fields.mapping(event, "detail", "$.detail")
        resources = event.get("resources", [])
        if not isinstance(resources, list):
            raise InvalidMessage("$.resources", "expected an array")
        return cls._read(
            {**detail, "recoveryPointArn": resources[0] if resources else None},
            account=fields.required_text(event, "account", "$"),
            region=fields.required_text(event, "region", "$"),
            heard_at=fields.timestamp(event, "time", "$"),
        )

    @classmethod
    def from_api(cls, job: Mapping[str, Any], region: str) -> Self | None:
        """The job as `ListBackupJobs` lists it in the region; None where there is nothing to tell of it."""
        detail = fields.lowered(job)
        return cls._read(
            detail, account=fields.required_text(detail, "accountId", "$.detail"), region=region, heard_at=None
        )

    @classmethod
    def _read(cls, detail: Mapping[str, Any], account: str, region: str, heard_at: Timestamp | None) -> Self | None:
        state = fields.required_text(detail, "state")
        # CREATED, PENDING, ABORTING: nothing has come of it yet. The first of them has no resource even.
        if state not in ("RUNNING", "EXPIRED", *_STATUS_OF_STATE):
            return None
        # A composite's children are parts of one backup, and the parent is told.
        if fields.optional_text(detail, "parentJobId"):
            return None
        # `backupPlanRuleId` in events, `backupRuleId` or `BackupRuleId` in events of other kinds and in the API.
        creator = fields.lowered(
            fields.mapping(detail, "createdBy", "$.detail.createdBy") if detail.get("createdBy") else {}
        )
        created_at = fields.timestamp(detail, "creationDate")
        return cls(
            job_id=fields.required_text(detail, "backupJobId"),
            state=state,
            aws_account=account,
            region=region,
            resource_arn=fields.required_text(detail, "resourceArn"),
            created_at=created_at,
            heard_at=heard_at or created_at,
            ended_at=fields.timestamp(detail, "completionDate") if detail.get("completionDate") else None,
            start_by=fields.timestamp(detail, "startBy") if detail.get("startBy") else None,
            status_message=(fields.optional_text(detail, "statusMessage") or "").strip(),
            recovery_point_arn=fields.optional_text(detail, "recoveryPointArn"),
            plan_id=fields.optional_text(creator, "backupPlanId"),
            rule_id=fields.optional_text(creator, "backupPlanRuleId") or fields.optional_text(creator, "backupRuleId"),
            resource_name=fields.optional_text(detail, "resourceName"),
            bytes_transferred=fields.whole_number(detail.get("bytesTransferred")),
        )

    @property
    def stage(self) -> Stage:
        """What is told of it in its state."""
        return Stage.STARTED if self.state == "RUNNING" else Stage.ENDED

    @property
    def server_policy_id(self) -> str:
        """The plan's rule and the resource; of a backup on demand, that and the resource."""
        return server_policy_id(self.rule_id or self.plan_id or ON_DEMAND_ID, self.resource_arn)

    def message(self, account: str, plan: BackupPlan | None, resource_name: str | None) -> JobMessage:
        """What is told of it, as the account's; `plan` and `resource_name` as far as they are known."""
        common: dict[str, Any] = {
            "account_alias": account,
            "server_id": server(self.resource_arn, self.resource_name or resource_name),
            "server_policy_id": self.server_policy_id,
            "account_policy_id": identifier(self.plan_id or ON_DEMAND_ID),
            "account_policy_name": name(plan.name if plan else self.plan_id or ON_DEMAND_NAME),
            "storage_region": name(self.region),
        }
        if self.state == "EXPIRED":
            return BackupMissed(**common, expected_date=self.scheduled_at(plan))
        # The one time of its beginning that events and the API both give; RUNNING itself has no date of its own.
        common["backup_started_date"] = self.created_at
        if self.state == "RUNNING":
            return BackupStarted(**common)
        return BackupFinished(
            **common,
            restore_point_id=self._restore_point_id(),
            restore_point_creation_status=self._status(),
            backup_finished_date=self.ended_at or self.heard_at,
            bytes_transferred_to_storage=self.bytes_transferred,
        )

    def scheduled_at(self, plan: BackupPlan | None) -> Timestamp:
        """Its scheduled start, to the millisecond that missed_backups expects it at.

        AWS adds the rule's start window to the scheduled time and calls that `StartBy`; the job itself is created some
        minutes after. Where the rule does not confirm that time (unknown, or changed since), the job's creation.
        """
        rule = plan.rules.get(self.rule_id) if plan and self.rule_id else None
        if rule and self.start_by:
            scheduled = Timestamp.of(self.start_by - rule.start_window)
            if rule.fires_at(scheduled):
                return scheduled
        return self.created_at

    def _status(self) -> BackupStatus:
        # "Completed with issues status is a representation of Completed jobs with status messages."
        if self.state == "COMPLETED" and self.status_message:
            return BackupStatus.PARTIAL_SUCCESS
        return _STATUS_OF_STATE[self.state]

    def _restore_point_id(self) -> str:
        """The recovery point; the job where there is none to restore from, whatever it left behind."""
        restorable = self.state in ("COMPLETED", "PARTIAL") and self.recovery_point_arn
        return identifier(self.recovery_point_arn if restorable and self.recovery_point_arn else self.job_id)


def plan_id_of(event: Mapping[str, Any]) -> str:
    """The plan that an event "Backup Plan State Change" tells of; `InvalidMessage` where it names none."""
    return fields.required_text(fields.mapping(event, "detail", "$.detail"), "backupPlanId")


def server_policy_id(rule_id: str, resource_arn: str) -> str:
    """The server policy of a plan's rule and a resource."""
    return identifier(f"{rule_id}/{resource_arn}")
