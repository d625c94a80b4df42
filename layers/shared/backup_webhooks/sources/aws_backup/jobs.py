"""Turns AWS Backup's jobs into messages of BackupEventsQueue. Pure.

A job comes from an EventBridge event, "Backup Job State Change", or from `ListBackupJobs`. Both have the same fields
with other capitals, so they are read alike and make the same message. Shapes:
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
from backup_webhooks.sources.aws_backup.names import identifier, name, server_id
from backup_webhooks.sources.aws_backup.plans import BackupPlan

# The account policy of a backup that a person started by hand.
ON_DEMAND_ID, ON_DEMAND_NAME = "on-demand", "On demand"

# ABORTED is a failure: there is no restore point, and the customer has to know it, whatever stopped the job.
_STATUS_OF_STATE = {
    "COMPLETED": BackupStatus.SUCCESS,
    "PARTIAL": BackupStatus.PARTIAL_SUCCESS,
    "FAILED": BackupStatus.FAILED,
    "ABORTED": BackupStatus.FAILED,
}


class Stage(StrEnum):
    """A stage of a job, published once: its start or its end."""

    STARTED = "started"
    ENDED = "ended"


type JobMessage = BackupStarted | BackupFinished | BackupMissed


class BackupJob(Struct, frozen=True):
    """A job in one of its states. Timestamps are cut to the second, as AWS's text form has no more.

    `ended_at` is None if AWS gives no completion date. `reported_at` then dates the end: the event's time, or the job's
    creation. `plan_id` and `rule_id` are None if no plan made the job.
    """

    job_id: str
    state: str
    aws_account: str
    region: str
    resource_arn: str
    created_at: Timestamp
    reported_at: Timestamp
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
        """Return the job of an event, or None if it has no message. Raise `InvalidMessage` with the field at fault."""
        detail = fields.mapping(event, "detail", "$.detail")
        resources = event.get("resources", [])
        if not isinstance(resources, list):
            raise InvalidMessage("$.resources", "expected an array")
        return cls._read(
            {**detail, "recoveryPointArn": resources[0] if resources else None},
            account=fields.required_text(event, "account", "$"),
            region=fields.required_text(event, "region", "$"),
            reported_at=fields.timestamp(event, "time", "$"),
        )

    @classmethod
    def from_api(cls, job: Mapping[str, Any], region: str) -> Self | None:
        """Return a job that `ListBackupJobs` lists, or None if it has no message. Raise `InvalidMessage`."""
        detail = fields.lowered(job)
        return cls._read(
            detail, account=fields.required_text(detail, "accountId", "$.detail"), region=region, reported_at=None
        )

    @classmethod
    def _read(cls, detail: Mapping[str, Any], account: str, region: str, reported_at: Timestamp | None) -> Self | None:
        state = fields.required_text(detail, "state")
        # CREATED, PENDING and ABORTING have no result yet, and CREATED has not even a resource.
        if state not in ("RUNNING", "EXPIRED", *_STATUS_OF_STATE):
            return None
        # The children of a composite job are parts of one backup, and the parent is published.
        if fields.optional_text(detail, "parentJobId"):
            return None
        # The rule is `backupPlanRuleId` in these events, and `backupRuleId` or `BackupRuleId` in others and the API.
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
            reported_at=reported_at or created_at,
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
        """The stage that the job's state belongs to."""
        return Stage.STARTED if self.state == "RUNNING" else Stage.ENDED

    @property
    def server_policy_id(self) -> str:
        """The server policy of the plan's rule and the resource, or of backups on demand and the resource."""
        return server_policy_id(self.rule_id or self.plan_id or ON_DEMAND_ID, self.resource_arn)

    def message(self, account: str, plan: BackupPlan | None, resource_name: str | None) -> JobMessage:
        """Return the job's message for the account. `plan` and `resource_name` are None if they are not known."""
        identity: dict[str, Any] = {
            "account_alias": account,
            "server_id": server_id(self.resource_arn, self.resource_name or resource_name),
            "server_policy_id": self.server_policy_id,
            "account_policy_id": identifier(self.plan_id or ON_DEMAND_ID),
            "account_policy_name": name(plan.name if plan else self.plan_id or ON_DEMAND_NAME),
            "storage_region": name(self.region),
        }
        if self.state == "EXPIRED":
            return BackupMissed(**identity, expected_date=self.scheduled_at(plan))
        # Events and the API give no other time of the start: RUNNING itself has no date.
        if self.state == "RUNNING":
            return BackupStarted(**identity, backup_started_date=self.created_at)
        return BackupFinished(
            **identity,
            backup_started_date=self.created_at,
            restore_point_id=self._restore_point_id(),
            restore_point_creation_status=self._status(),
            backup_finished_date=self.ended_at or self.reported_at,
            bytes_transferred_to_storage=self.bytes_transferred,
        )

    def scheduled_at(self, plan: BackupPlan | None) -> Timestamp:
        """Return the job's scheduled start, to the millisecond at which missed_backups expects it.

        `StartBy` is the scheduled time plus the rule's start window; AWS creates the job some minutes after that time.
        If the rule is unknown, or was changed and does not confirm the time, the job's creation is returned.
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
        """Return the recovery point, or the job's id if the job left none that can be restored."""
        restorable = self.state in ("COMPLETED", "PARTIAL") and self.recovery_point_arn
        return identifier(self.recovery_point_arn if restorable and self.recovery_point_arn else self.job_id)


def plan_id_of(event: Mapping[str, Any]) -> str:
    """Return the plan's id of an event "Backup Plan State Change". Raise `InvalidMessage` if it has none."""
    return fields.required_text(fields.mapping(event, "detail", "$.detail"), "backupPlanId")


def server_policy_id(rule_id: str, resource_arn: str) -> str:
    """Return the id of the server policy of a plan's rule and a resource."""
    return identifier(f"{rule_id}/{resource_arn}")
