"""Backup output in BackupsTable, by server policy, in the order of time.

It has items of its own, because reports read backups by the hundred thousand. DynamoDB charges a query for all that it
reads, and 4 KiB in each backup would cost six times as much. Partition `accountDay`: `output`, account and server
policy id, separated by NUL. No id or account contains NUL, so the partition cannot equal a backup's or another
account's. Sort key `occurrence`: as of the backup.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.backup_output import BackupOutput
from backup_webhooks.events.messages import BackupFinished, BackupStatus
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Shorter than for backups, because output may hold secrets.
RETENTION = timedelta(days=30)


class BackupWithOutput(Struct, frozen=True):
    """How a backup ended, and its backup output. Times are aware, in UTC."""

    status: BackupStatus
    started_at: datetime
    finished_at: datetime
    restore_point_id: str
    output: BackupOutput


class BackupOutputStore(Struct, frozen=True):
    """Stores and finds backup output. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def keep(self, ended: BackupFinished, now: datetime) -> None:
        """Store the backup output for 30 days, if there is any. It is idempotent."""
        if not ended.output:
            return
        finished_at, status = iso_milliseconds(ended.backup_finished_date), ended.restore_point_creation_status
        self.client.put_item(
            TableName=self.table,
            Item=to_item(
                {
                    "accountDay": _partition(ended.account_alias, ended.server_policy_id),
                    "occurrence": f"{finished_at}#{status}#{ended.restore_point_id}",
                    "startedAt": iso_milliseconds(ended.backup_started_date),
                    "output": str(ended.output),
                    "expiresAt": int((now + RETENTION).timestamp()),
                }
            ),
        )

    def latest(self, account: str, server_policy_id: str, limit: int) -> Sequence[BackupWithOutput]:
        """Return the latest `limit` outputs of the account's server policy, the newest first."""
        answer = self.client.query(
            TableName=self.table,
            KeyConditionExpression="accountDay = :partition",
            ExpressionAttributeValues=to_item({":partition": _partition(account, server_policy_id)}),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_backup_with_output(from_item(item)) for item in answer["Items"]]


def _backup_with_output(fields: dict[str, str]) -> BackupWithOutput:
    finished_at, status, restore_point_id = fields["occurrence"].split("#", 2)
    return BackupWithOutput(
        status=BackupStatus(status),
        started_at=Timestamp.parse(fields["startedAt"]),
        finished_at=Timestamp.parse(finished_at),
        restore_point_id=restore_point_id,
        output=BackupOutput(fields["output"]),
    )


def _partition(account: str, server_policy_id: str) -> str:
    return f"output\0{account}\0{server_policy_id}"
