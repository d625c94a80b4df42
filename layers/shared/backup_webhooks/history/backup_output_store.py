"""BackupsTable's logs: what backups have said of themselves, by server policy, in the order of time.

Items beside the backups' own, which reports read by the hundred thousand: a query is charged by what it reads, not by
what it projects, and 4 KiB each would make it six times as much. Partition `accountDay`: `log`, account and server
policy id with NUL between them, which no id and no account has, so that it is no backup's and no other account's; sort
key `occurrence` as the backup's own.
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

# Less than the backups themselves: it may hold secrets.
RETENTION = timedelta(days=30)


class BackupWithOutput(Struct, frozen=True):
    """How a backup ended, and what it said of itself. Times are aware, in UTC."""

    status: BackupStatus
    started_at: datetime
    finished_at: datetime
    restore_point_id: str
    output: BackupOutput


class BackupOutputStore(Struct, frozen=True):
    """Keeps and finds logs. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def keep(self, ended: BackupFinished, now: datetime) -> None:
        """Keep the backup's log for 30 days; nothing where it has none. Done twice, it is as good as once."""
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
                    "log": str(ended.output),
                    "expiresAt": int((now + RETENTION).timestamp()),
                }
            ),
        )

    def latest(self, account: str, server_policy_id: str, limit: int) -> Sequence[BackupWithOutput]:
        """The latest logs of the account's server policy, the newest first."""
        answer = self.client.query(
            TableName=self.table,
            KeyConditionExpression="accountDay = :partition",
            ExpressionAttributeValues=to_item({":partition": _partition(account, server_policy_id)}),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_logged(from_item(item)) for item in answer["Items"]]


def _logged(fields: dict[str, str]) -> BackupWithOutput:
    finished_at, status, restore_point_id = fields["occurrence"].split("#", 2)
    return BackupWithOutput(
        status=BackupStatus(status),
        started_at=Timestamp.parse(fields["startedAt"]),
        finished_at=Timestamp.parse(finished_at),
        restore_point_id=restore_point_id,
        output=BackupOutput(fields["log"]),
    )


def _partition(account: str, server_policy_id: str) -> str:
    return f"log\0{account}\0{server_policy_id}"
