"""SourcesTable: the state of the sources of backups. Its key is `collection` and `entry`.

| collection | entry | attributes |
|---|---|---|
| `aws-backup/accounts` | AWS account id | `alias`: the account that its backups belong to; set by hand |
| `aws-backup/plans` | plan id | `plan`: the plan as it was last read, JSON |
| `aws-backup/plan/{plan id}` | server policy id | `ruleId resourceArn resourceName lastJobAt told expiresAt` |
| `aws-backup/job/{job id}` | `started` or `ended` | `body`: the message; `sentAt`: when it was sent; `expiresAt` |
| `aws-backup/reconciliation` | `jobs` | `since`: the first reconciliation; `until`: the last complete one |

Timestamps are ISO 8601 in UTC, to the millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from backup_webhooks.aws.items import from_item, get_items, to_item
from backup_webhooks.events.messages import ServerPolicyChanged, encode, encode_message, parse_message
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.sources.aws_backup.jobs import BackupJob, Stage
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ACCOUNTS, _PLANS, _RECONCILIATION = "aws-backup/accounts", "aws-backup/plans", "aws-backup/reconciliation"
_BATCH = 100  # the most that BatchGetItem takes
# Longer than AWS lists a job, and than a dead-letter queue keeps an event.
_JOB_KEPT = timedelta(days=35)
# A server without expected backups stays for this long, and is compared whenever its plan is read.
_SERVER_KEPT = timedelta(days=35)

type _Key = tuple[str, str]


class KnownJob(Struct, frozen=True):
    """The stored facts about a job: its account, and its plan and server, which are None if not known yet."""

    account: str
    is_published: bool
    plan: BackupPlan | None
    server: PlannedServer | None


class Reconciliation(Struct, frozen=True):
    """The times of the first reconciliation and of the last complete one."""

    since: datetime
    until: datetime


class AwsBackupStore(Struct, frozen=True):
    """Reads and writes the state of the source AWS Backup. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def account(self, aws_account: str) -> str:
        """Return the account that the AWS account is mapped to, or the AWS account's id if it is mapped to none."""
        return _alias(self._load([(_ACCOUNTS, aws_account)]), aws_account)

    def known(self, job: BackupJob) -> KnownJob:
        """Return the stored facts about the job, and whether its stage is published, from one read."""
        keys = [(_ACCOUNTS, job.aws_account), *_stage_keys(job)]
        if job.plan_id:
            keys += [(_PLANS, job.plan_id), (_plan(job.plan_id), job.server_policy_id)]
        found = self._load(keys)
        plan = found.get((_PLANS, job.plan_id or ""))
        server = found.get((_plan(job.plan_id or ""), job.server_policy_id))
        return KnownJob(
            account=_alias(found, job.aws_account),
            is_published=_is_published(job, found),
            plan=msgspec.json.decode(plan["plan"], type=BackupPlan) if plan else None,
            server=_server(server) if server else None,
        )

    def unpublished(self, jobs: Sequence[BackupJob]) -> Iterator[BackupJob]:
        """Yield the jobs whose stage is not published."""
        for batch in batched(jobs, _BATCH // len(Stage), strict=False):
            found = self._load([key for job in batch for key in _stage_keys(job)])
            yield from (job for job in batch if not _is_published(job, found))

    def keep_message(self, job: BackupJob, body: str, now: datetime) -> str:
        """Store the message of the job's stage and return the one to send: the first that was stored.

        So each call for the stage sends the same message.
        """
        answer = self.client.update_item(
            TableName=self.table,
            Key=_key(_job(job.job_id), job.stage),
            UpdateExpression="SET body = if_not_exists(body, :body), expiresAt = :expiresAt",
            ExpressionAttributeValues=to_item({":body": body, ":expiresAt": int((now + _JOB_KEPT).timestamp())}),
            ReturnValues="ALL_NEW",
        )
        return str(from_item(answer["Attributes"])["body"])

    def mark_sent(self, job: BackupJob, now: datetime) -> None:
        """Store that the message of the job's stage is on the queue."""
        self._set((_job(job.job_id), job.stage), {"sentAt": iso_milliseconds(now)})

    def plan_ids(self) -> Iterator[str]:
        """Yield the ids of the stored plans. A deleted plan stays until its servers are published as inactive."""
        for item in self._items(_PLANS):
            yield item["entry"]

    def save_plan(self, plan: BackupPlan) -> None:
        """Store the plan as it was read."""
        self._set((_PLANS, plan.plan_id), {"plan": encode(plan)})

    def forget_plan(self, plan_id: str) -> None:
        """Delete the plan and its servers, once these are published as inactive."""
        for item in self._items(_plan(plan_id)):
            self.client.delete_item(TableName=self.table, Key=_key(item["collection"], item["entry"]))
        self.client.delete_item(TableName=self.table, Key=_key(_PLANS, plan_id))

    def servers(self, plan_id: str) -> Iterator[PlannedServer]:
        """Yield the stored servers of the plan's rules, read page by page."""
        return map(_server, self._items(_plan(plan_id)))

    def save_server(self, server: PlannedServer, now: datetime) -> None:
        """Store the server. A field that is None leaves the stored value."""
        fields = {
            "ruleId": server.rule_id,
            "resourceArn": server.resource_arn,
            "resourceName": server.resource_name,
            "lastJobAt": server.last_job_at and iso_milliseconds(server.last_job_at),
            "told": server.published and encode_message(server.published),
        }
        given: dict[str, str | int] = {name: value for name, value in fields.items() if value}
        if server.published and not server.is_expected:
            given["expiresAt"] = int((now + _SERVER_KEPT).timestamp())
        key = (_plan(server.plan_id), server.server_policy_id)
        self._set(key, given, remove="expiresAt" if server.is_expected else None)

    def reconciliation(self) -> Reconciliation | None:
        """Return the reconciliations so far, or None before the first."""
        item = self._load([(_RECONCILIATION, "jobs")]).get((_RECONCILIATION, "jobs"))
        return Reconciliation(Timestamp.parse(item["since"]), Timestamp.parse(item["until"])) if item else None

    def save_reconciliation(self, reconciliation: Reconciliation) -> None:
        """Store the reconciliations so far."""
        fields = {"since": iso_milliseconds(reconciliation.since), "until": iso_milliseconds(reconciliation.until)}
        self._set((_RECONCILIATION, "jobs"), fields)

    def _set(self, key: _Key, fields: Mapping[str, str | int], remove: str | None = None) -> None:
        self.client.update_item(
            TableName=self.table,
            Key=_key(*key),
            UpdateExpression="SET "
            + ", ".join(f"#{name} = :{name}" for name in fields)
            + (f" REMOVE {remove}" if remove else ""),
            ExpressionAttributeNames={f"#{name}": name for name in fields},
            ExpressionAttributeValues=to_item({f":{name}": value for name, value in fields.items()}),
        )

    def _load(self, keys: Sequence[_Key]) -> dict[_Key, dict[str, Any]]:
        """Return the items of up to 100 keys by key, from consistent reads."""
        wanted = [{"collection": collection, "entry": str(entry)} for collection, entry in keys]
        return {(item["collection"], item["entry"]): item for item in get_items(self.client, self.table, wanted)}

    def _items(self, collection: str) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="#collection = :collection",
            ExpressionAttributeNames={"#collection": "collection"},  # reserved by DynamoDB
            ExpressionAttributeValues=to_item({":collection": collection}),
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(from_item, page["Items"])


def _plan(plan_id: str) -> str:
    return f"aws-backup/plan/{plan_id}"


def _job(job_id: str) -> str:
    return f"aws-backup/job/{job_id}"


def _key(collection: str, entry: str) -> dict[str, Any]:
    return to_item({"collection": collection, "entry": str(entry)})


def _stage_keys(job: BackupJob) -> list[_Key]:
    return [(_job(job.job_id), str(stage)) for stage in Stage]


def _is_published(job: BackupJob, found: Mapping[_Key, Mapping[str, Any]]) -> bool:
    """Return whether the job's stage or a later one is published: a start is not published after the end."""
    ended, started = (found.get((_job(job.job_id), stage), {}) for stage in (Stage.ENDED, Stage.STARTED))
    return "sentAt" in ended or (job.stage is Stage.STARTED and "sentAt" in started)


def _alias(found: Mapping[_Key, Mapping[str, Any]], aws_account: str) -> str:
    return str(found.get((_ACCOUNTS, aws_account), {}).get("alias") or aws_account)


def _server(item: Mapping[str, Any]) -> PlannedServer:
    return PlannedServer(
        server_policy_id=item["entry"],
        plan_id=item["collection"].removeprefix(_plan("")),
        rule_id=item["ruleId"],
        resource_arn=item["resourceArn"],
        resource_name=item.get("resourceName"),
        last_job_at=Timestamp.parse(item["lastJobAt"]) if "lastJobAt" in item else None,
        published=cast("ServerPolicyChanged", parse_message(item["told"])) if "told" in item else None,
    )
