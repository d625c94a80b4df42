"""AWS Backup's events and answers: the examples of its documentation, and small factories."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from backup_webhooks.events.messages import BackupFinished, BackupMissed, BackupStarted
from backup_webhooks.sources.aws_backup.jobs import BackupJob
from backup_webhooks.sources.aws_backup.plans import BackupPlan

EXAMPLES = Path(__file__).parents[1] / "unit" / "data" / "aws_backup"
AWS_ACCOUNT, REGION = "111122223333", "us-east-1"
VOLUME = f"arn:aws:ec2:{REGION}:{AWS_ACCOUNT}:volume/vol-0b5ae24f2ee72d926"
PLAN, RULE = "bde0f455-4e24-4668-aeaa-4932a97f5cc5", "1f97bafa-14d6-4f39-94fd-94b51bd6d0d5"


def example(name: str) -> dict[str, Any]:
    """Return an example of AWS's documentation, whole."""
    event: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return event


def job_event(state: str, **detail: Any) -> dict[str, Any]:
    """Return an event of a job of the plan's rule, scheduled for 05:00 on 15 July 2020. None removes a field."""
    fields: dict[str, Any] = {
        "backupJobId": "a827233a-d405-4a86-a440-759fa94f34dd",
        "backupVaultArn": f"arn:aws:backup:{REGION}:{AWS_ACCOUNT}:backup-vault:Default",
        "backupVaultName": "Default",
        "bytesTransferred": "36048",
        "creationDate": "2020-07-15T05:03:31.207Z",
        "resourceArn": VOLUME,
        "resourceType": "EBS",
        "state": state,
        "startBy": "2020-07-15T13:00:00Z",
        "createdBy": {"backupPlanId": PLAN, "backupPlanRuleId": RULE},
    }
    if state not in ("RUNNING", "CREATED", "PENDING"):
        fields["completionDate"] = "2020-07-15T05:21:05.921Z"
    fields = {name: value for name, value in (fields | detail).items() if value is not None}
    recovery_points = [f"arn:aws:ec2:{REGION}::snapshot/snap-0726fe70935586180"] if state == "COMPLETED" else []
    return {
        "version": "0",
        "id": "dafac799-9b88-0134-26b7-fef4d54a134f",
        "detail-type": "Backup Job State Change",
        "source": "aws.backup",
        "account": AWS_ACCOUNT,
        "time": "2020-07-15T05:24:17Z",
        "region": REGION,
        "resources": recovery_points,
        "detail": fields,
    }


def api_job(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event's job as `ListBackupJobs` does: other capitals, real dates, the recovery point in a field."""
    detail = dict(event["detail"])
    creator = detail.pop("createdBy", {})
    job = {name[0].upper() + name[1:]: value for name, value in detail.items()} | {"AccountId": event["account"]}
    for name in ("CreationDate", "CompletionDate", "StartBy"):
        if name in job:
            job[name] = datetime.fromisoformat(job[name])
    job.pop("ExpectedCompletionDate", None)
    if "BytesTransferred" in job:
        job["BytesTransferred"] = int(job["BytesTransferred"])
    if event["resources"]:
        job["RecoveryPointArn"] = event["resources"][0]
    if creator:
        job["CreatedBy"] = {"BackupPlanId": creator["backupPlanId"], "BackupRuleId": creator["backupPlanRuleId"]}
    return job


def plan_answer(*rules: dict[str, Any], plan_id: str = PLAN, name: str = "Nightly") -> dict[str, Any]:
    """Return an answer of `GetBackupPlan`. Without rules, it has one at 05:00 UTC."""
    return {
        "BackupPlanId": plan_id,
        "BackupPlanArn": f"arn:aws:backup:{REGION}:{AWS_ACCOUNT}:backup-plan:{plan_id}",
        "VersionId": "YTkzNmM0MmUtMWRhNS00Y2RkLThmZGUtNjA5NTc4NGM1YTc5",
        "BackupPlan": {"BackupPlanName": name, "Rules": list(rules) or [rule()]},
    }


def rule(schedule: str | None = "cron(0 5 ? * * *)", rule_id: str = RULE, **fields: Any) -> dict[str, Any]:
    """Return one rule of a plan, as in an answer of `GetBackupPlan`."""
    return {
        "RuleId": rule_id,
        "RuleName": "daily",
        "TargetBackupVaultName": "Default",
        "ScheduleExpression": schedule,
        "StartWindowMinutes": 480,
    } | fields


def plan(*rules: dict[str, Any], **changes: str) -> BackupPlan:
    """Return the plan of `plan_answer`."""
    read = BackupPlan.of(plan_answer(*rules, **changes))
    assert read is not None
    return read


def job(event: dict[str, Any]) -> BackupJob:
    """Return the event's job, which must have a message."""
    read = BackupJob.from_event(event)
    assert read is not None
    return read


def message(
    event: dict[str, Any], known_plan: BackupPlan | None = None, resource_name: str | None = None
) -> BackupStarted | BackupFinished | BackupMissed:
    """Return the message of the event's job for the account TEST."""
    return job(event).message("TEST", known_plan, resource_name)
