"""BackupsTable: the record of each backup, by account and day.

Partition `accountDay`, `{account}#{yyyy-mm-dd of the event, UTC}`; sort key `occurrence`, `{event time, ISO
ms}#{result}#{restorePointId or serverPolicyId}`. `backup` holds the record as JSON text: botocore takes some 10 µs for
each attribute, and a week's report reads hundreds of thousands of backups. `emailedTo`: the addresses that had an
e-mail about it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from backup_webhooks.aws.items import get_items, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.history.backup import Backup

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_decoder = msgspec.json.Decoder(Backup)


class BackupsStore(Struct, frozen=True):
    """Stores and finds backups. Raises botocore's errors. `retention`: for how long `keep` stores them."""

    client: DynamoDBClient
    table: str
    retention: timedelta = timedelta(days=60)

    def keep(self, backup: Backup) -> None:
        """Store the backup, unless it is stored already. It is idempotent."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.put_item(
                TableName=self.table,
                Item=to_item(self.item(backup)),
                # A later `recorded_at` would make a report count the backup again.
                ConditionExpression="attribute_not_exists(accountDay)",
            )

    def item(self, backup: Backup) -> dict[str, Any]:
        """Return the item that `keep` stores."""
        return _key(backup) | {
            "backup": msgspec.json.encode(backup, enc_hook=iso_milliseconds).decode(),
            "expiresAt": int((backup.recorded_at + self.retention).timestamp()),
        }

    def between(self, account: str, since: datetime, until: datetime) -> Iterator[Backup]:
        """Yield the account's backups from `since` to before `until`, in the order of time.

        It reads a page of at most 1 MiB at a time; the reads are eventually consistent.
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
        """Return for each backup the addresses that had an e-mail about it at once. The read is consistent."""
        of_key = {(key["accountDay"], key["occurrence"]): backup for backup in backups for key in [_key(backup)]}
        found = {
            of_key[item["accountDay"], item["occurrence"]]: frozenset(item.get("emailedTo", ()))
            for item in get_items(self.client, self.table, map(_key, dict.fromkeys(backups)))
        }
        return {backup: found.get(backup, frozenset()) for backup in backups}

    def mark_emailed(self, backup: Backup, address: str) -> None:
        """Record that the address had an e-mail about the backup. A backup that is not stored is ignored."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key=to_item(_key(backup)),
                UpdateExpression="ADD emailedTo :address",
                ConditionExpression="attribute_exists(accountDay)",
                ExpressionAttributeValues=to_item({":address": {address}}),
            )


def _key(backup: Backup) -> dict[str, str]:
    return {
        "accountDay": _partition(backup.account, backup.occurred_at),
        "occurrence": f"{iso_milliseconds(backup.occurred_at)}#{backup.result}#{backup.subject_id}",
    }


def _partition(account: str, timestamp: datetime) -> str:
    return f"{account}#{timestamp.astimezone(UTC):%Y-%m-%d}"
