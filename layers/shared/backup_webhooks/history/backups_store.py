"""BackupsTable: what became of each backup, by account and day.

Partition `accountDay`, `{account}#{yyyy-mm-dd of the event, UTC}`; sort key `occurrence`, `{event time, ISO
ms}#{result}#{restorePointId or serverPolicyId}`. All else of a backup stands in `backup`, as JSON text: botocore takes
some 10 µs an attribute, and a week's report reads hundreds of thousands of backups. `emailedTo`: the addresses that
were told of it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.history.backup import Backup

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RETENTION = timedelta(days=400)
# The most that BatchGetItem takes.
_AT_ONCE = 100
_decoder = msgspec.json.Decoder(Backup)


class BackupsStore(Struct, frozen=True):
    """Keeps and finds backups. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def keep(self, backup: Backup) -> None:
        """Keep it for 400 days; nothing happens where it is kept already, however often a message comes."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.put_item(
                TableName=self.table,
                Item=to_item(_item(backup)),
                # Else its `recorded_at` would be another, and a report count it anew.
                ConditionExpression="attribute_not_exists(accountDay)",
            )

    def between(self, account: str, since: datetime, until: datetime) -> Iterator[Backup]:
        """The account's backups of the time from `since` to before `until`, in the order of that time.

        A page of at most 1 MiB at a time; the reads are eventually consistent.
        """
        first, last = iso_milliseconds(since), iso_milliseconds(until)
        days = (until.astimezone(UTC).date() - since.astimezone(UTC).date()).days
        paginator = self.client.get_paginator("query")
        for day in range(days + 1):
            pages = paginator.paginate(
                TableName=self.table,
                KeyConditionExpression="accountDay = :day AND occurrence BETWEEN :first AND :last",
                ExpressionAttributeValues=to_item(
                    {":day": _partition(account, since + timedelta(days=day)), ":first": first, ":last": last}
                ),
                ProjectionExpression="#backup",
                ExpressionAttributeNames={"#backup": "backup"},
            )
            for page in pages:
                yield from (_decoder.decode(item["backup"]["S"]) for item in page["Items"])

    def emailed(self, backups: Sequence[Backup]) -> Mapping[Backup, frozenset[str]]:
        """The addresses that were told at once of each backup (a consistent read)."""
        found: dict[Backup, frozenset[str]] = {}
        for some in batched(dict.fromkeys(backups), _AT_ONCE, strict=False):
            of_key = {(key["accountDay"], key["occurrence"]): backup for backup in some for key in [_key(backup)]}
            request: Any = {self.table: {"Keys": [to_item(_key(one)) for one in some], "ConsistentRead": True}}
            while request:
                answer = self.client.batch_get_item(RequestItems=request)
                for item in map(from_item, answer["Responses"].get(self.table, [])):
                    backup = of_key[item["accountDay"], item["occurrence"]]
                    found[backup] = frozenset(item.get("emailedTo", ()))
                request = answer.get("UnprocessedKeys")
        return {backup: found.get(backup, frozenset()) for backup in backups}

    def mark_emailed(self, backup: Backup, address: str) -> None:
        """Note that the address was told of the backup; nothing happens where it is not kept."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(backup)),
                UpdateExpression="ADD emailedTo :address",
                ConditionExpression="attribute_exists(accountDay)",
                ExpressionAttributeValues=to_item({":address": {address}}),
            )


def _item(backup: Backup) -> dict[str, Any]:
    return _key(backup) | {
        "backup": msgspec.json.encode(backup, enc_hook=iso_milliseconds).decode(),
        "expiresAt": int((backup.recorded_at + RETENTION).timestamp()),
    }


def _key(backup: Backup) -> dict[str, str]:
    return {
        "accountDay": _partition(backup.account, backup.occurred_at),
        "occurrence": f"{iso_milliseconds(backup.occurred_at)}#{backup.result}#{backup.subject_id}",
    }


def _partition(account: str, timestamp: datetime) -> str:
    return f"{account}#{timestamp.astimezone(UTC):%Y-%m-%d}"
