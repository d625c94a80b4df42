"""SourcesTable: what the sources of backups remember. Key `collection` and `entry`.

| collection | entry | attributes |
|---|---|---|
| `aws-backup/accounts` | AWS account id | `alias`: the account whose its backups are; set by hand |
| `aws-backup/plans` | plan id | `plan`: the plan as it was last read, JSON |
| `aws-backup/plan/{plan id}` | server policy id | `ruleId resourceArn resourceName lastJobAt told expiresAt` |
| `aws-backup/job/{job id}` | `started` or `ended` | `body`: the message; `sentAt`: when it was sent; `expiresAt` |
| `aws-backup/reconciliation` | `jobs` | `since`: the first reconciliation, `until`: the last one that saw all |

Moments are text in ISO 8601 to the millisecond, UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.messages import ServerPolicyChanged, encode, encode_message, parse_message
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.sources.aws_backup.jobs import BackupJob, Stage
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ACCOUNTS, _PLANS, _RECONCILIATION = "aws-backup/accounts", "aws-backup/plans", "aws-backup/reconciliation"
_BATCH = 100  # the most that BatchGetItem takes
# Longer than AWS lists a job, and than dead letters can be redriven.
_JOB_KEPT = timedelta(days=35)
# A server of which no more backups are expected; until then it is compared at each reading of its plan.
_SERVER_KEPT = timedelta(days=35)

type _Key = tuple[str, str]


class KnownOfJob(Struct, frozen=True):
    """What is known where a job is heard of. `account`: whose it is; `plan` and `server`: None where not known yet."""

    account: str
    is_published: bool
    plan: BackupPlan | None
    server: PlannedServer | None


class Reconciliation(Struct, frozen=True):
    """When reconciliation began to look at all, and up to when it has."""

    since: datetime
    until: datetime


class AwsBackupStore(Struct, frozen=True):
    """Reads and writes what AWS Backup's source remembers. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def account(self, aws_account: str) -> str:
        """The account that the AWS account is mapped to; its own id where it is to none."""
        return _alias(self._load([(_ACCOUNTS, aws_account)]), aws_account)

    def known(self, job: BackupJob) -> KnownOfJob:
        """What is known of the job's account, plan and server, and whether its stage has been told: one read."""
        keys = [(_ACCOUNTS, job.aws_account), *_tellings(job)]
        if job.plan_id:
            keys += [(_PLANS, job.plan_id), (_plan(job.plan_id), job.server_policy_id)]
        found = self._load(keys)
        plan = found.get((_PLANS, job.plan_id or ""))
        server = found.get((_plan(job.plan_id or ""), job.server_policy_id))
        return KnownOfJob(
            account=_alias(found, job.aws_account),
            is_published=_is_told(job, found),
            plan=msgspec.json.decode(plan["plan"], type=BackupPlan) if plan else None,
            server=_server(server) if server else None,
        )

    def unpublished(self, jobs: Sequence[BackupJob]) -> Iterator[BackupJob]:
        """Those jobs whose stage has not been told."""
        for some in batched(jobs, _BATCH // len(Stage), strict=False):
            found = self._load([key for job in some for key in _tellings(job)])
            yield from (job for job in some if not _is_told(job, found))

    def keep(self, job: BackupJob, body: str, now: datetime) -> str:
        """Keep what is to be told of the job's stage. Answers with what is to be sent: what was kept first stays, so
        that whoever tells it, and however often, sends the same.
        """
        answer = self.client.update_item(
            TableName=self.table,
            Key=_key(_job(job.job_id), job.stage),
            UpdateExpression="SET body = if_not_exists(body, :body), expiresAt = :expiresAt",
            ExpressionAttributeValues=to_item({":body": body, ":expiresAt": int((now + _JOB_KEPT).timestamp())}),
            ReturnValues="ALL_NEW",
        )
        return str(from_item(answer["Attributes"])["body"])

    def sent(self, job: BackupJob, now: datetime) -> None:
        """What is kept of the job's stage is on the queue."""
        self._set((_job(job.job_id), job.stage), {"sentAt": iso_milliseconds(now)})

    def plan_ids(self) -> Iterator[str]:
        """The plans that have been read, deleted ones too until that was told."""
        for item in self._items(_PLANS):
            yield item["entry"]

    def save_plan(self, plan: BackupPlan) -> None:
        """Keep the plan as it was read."""
        self._set((_PLANS, plan.plan_id), {"plan": encode(plan)})

    def forget_plan(self, plan_id: str) -> None:
        """The plan is no more, and all that follows from that has been told."""
        for item in self._items(_plan(plan_id)):
            self.client.delete_item(TableName=self.table, Key=_key(item["collection"], item["entry"]))
        self.client.delete_item(TableName=self.table, Key=_key(_PLANS, plan_id))

    def servers(self, plan_id: str) -> Iterator[PlannedServer]:
        """The plan's rules' servers, as far as they were seen or told; read page by page."""
        return map(_server, self._items(_plan(plan_id)))

    def save_server(self, server: PlannedServer, now: datetime) -> None:
        """Keep what is known of the rule and the resource; what is None leaves what is stored."""
        fields = {
            "ruleId": server.rule_id,
            "resourceArn": server.resource_arn,
            "resourceName": server.resource_name,
            "lastJobAt": server.last_job_at and iso_milliseconds(server.last_job_at),
            "told": server.told and encode_message(server.told),
        }
        known: dict[str, str | int] = {name: value for name, value in fields.items() if value}
        if server.told and not server.is_expected:
            known["expiresAt"] = int((now + _SERVER_KEPT).timestamp())
        key = (_plan(server.plan_id), server.server_policy_id)
        self._set(key, known, remove="expiresAt" if server.is_expected else None)

    def reconciliation(self) -> Reconciliation | None:
        """How far reconciliation has come; None before the first."""
        item = self._load([(_RECONCILIATION, "jobs")]).get((_RECONCILIATION, "jobs"))
        return Reconciliation(Timestamp.parse(item["since"]), Timestamp.parse(item["until"])) if item else None

    def save_reconciliation(self, reconciliation: Reconciliation) -> None:
        """Keep how far it has come."""
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
        """The items of up to 100 keys, as they are now."""
        found = {}
        request: Any = {self.table: {"Keys": [_key(*key) for key in keys], "ConsistentRead": True}}
        while request:
            answer = self.client.batch_get_item(RequestItems=request)
            for item in map(from_item, answer["Responses"].get(self.table, [])):
                found[item["collection"], item["entry"]] = item
            request = answer.get("UnprocessedKeys")
        return found

    def _items(self, collection: str) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="#collection = :collection",
            ExpressionAttributeNames={"#collection": "collection"},  # a word that DynamoDB has reserved
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


def _tellings(job: BackupJob) -> list[_Key]:
    return [(_job(job.job_id), str(stage)) for stage in Stage]


def _is_told(job: BackupJob, found: Mapping[_Key, Mapping[str, Any]]) -> bool:
    """Whether its stage was told, or a later one: a start that comes after the end is no news."""
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
        told=cast("ServerPolicyChanged", parse_message(item["told"])) if "told" in item else None,
    )
