"""PingKeysTable, as accounts use it: their keys, made, listed, changed, revoked.

Beside the keys stands an item for each account, `account#{account}`: the set `pingKeys` of its keys' hashes. So the
list is consistent and its length bounded exactly, and pings write no index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.sources.pings.pings_store import fields_of, ping_key_of
from backup_webhooks.sources.pings.rules import PingKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# What one BatchGetItem reads.
MOST_PING_KEYS = 100


class TooManyPingKeys(Exception):
    """The account has as many as it may have."""


class PingKeysStore(Struct, frozen=True):
    """Reads and writes ping keys. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Sequence[PingKey]:
        """The account's keys, the oldest first (consistent reads)."""
        found: list[PingKey] = []
        keys = [to_item({"pingKey": key_hash}) for key_hash in self._hashes(account)]
        request: Any = {self.table: {"Keys": keys, "ConsistentRead": True}} if keys else None
        while request:
            answer = self.client.batch_get_item(RequestItems=request)
            found += [ping_key_of(from_item(item)) for item in answer["Responses"].get(self.table, [])]
            request = answer.get("UnprocessedKeys")
        return sorted(found, key=lambda key: (key.created_at, key.key_hash))

    def find(self, account: str, ping_key_id: str) -> PingKey | None:
        """The account's key with that id (consistent reads); None where it has none."""
        for key_hash in self._hashes(account):
            if key_hash[:16] == ping_key_id:
                answer = self.client.get_item(
                    TableName=self.table, Key=to_item({"pingKey": key_hash}), ConsistentRead=True
                )
                return ping_key_of(from_item(answer["Item"])) if "Item" in answer else None
        return None

    def add(self, key: PingKey) -> None:
        """Store a new key. Raises `TooManyPingKeys` and `Conflict`."""
        put = {"Item": to_item(fields_of(key)), "ConditionExpression": "attribute_not_exists(pingKey)"}
        listed = self._listed(key, "ADD") | {
            "ConditionExpression": "attribute_not_exists(pingKeys) OR size(pingKeys) < :most"
        }
        listed["ExpressionAttributeValues"] |= to_item({":most": MOST_PING_KEYS})
        failed = self._write({"Put": put}, {"Update": listed})
        if "ConditionalCheckFailed" in failed:
            raise TooManyPingKeys(key.account)
        if failed:
            raise Conflict(key.ping_key_id)

    def change(self, seen: PingKey, wanted: PingKey) -> None:
        """Store another schedule of a key; its pings stay. Raises `Conflict` where it was changed or revoked since."""
        names = ("backupSchedule", "backupIntervalHours", "timezone", "changedAt")
        values = {name: fields_of(wanted).get(name) for name in names}
        gone = [name for name, value in values.items() if value is None]
        given = {f":{name}": value for name, value in values.items() if value is not None}
        update = "SET " + ", ".join(f"#{name[1:]} = {name}" for name in given)
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": seen.key_hash}),
                UpdateExpression=update + (f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""),
                # The latter: an answer that was lost made botocore write twice.
                ConditionExpression="#changedAt IN (:seen, :changedAt)",
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues=to_item(given | {":seen": iso_milliseconds(seen.changed_at)}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(seen.ping_key_id) from None

    def remove(self, key: PingKey) -> None:
        """Forget the key; nothing happens where that was done already. Raises `Conflict`."""
        if self._write(
            {"Delete": {"Key": to_item({"pingKey": key.key_hash})}}, {"Update": self._listed(key, "DELETE")}
        ):
            raise Conflict(key.ping_key_id)

    def _hashes(self, account: str) -> Sequence[str]:
        key = to_item({"pingKey": _account_key(account)})
        answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        return sorted(from_item(answer.get("Item", {})).get("pingKeys", ()))

    def _listed(self, key: PingKey, action: str) -> dict[str, Any]:
        """The change of the account's list."""
        return {
            "Key": to_item({"pingKey": _account_key(key.account)}),
            "UpdateExpression": f"{action} pingKeys :pingKeys",
            "ExpressionAttributeValues": to_item({":pingKeys": {key.key_hash}}),
        }

    def _write(self, *writes: dict[str, Any]) -> set[str]:
        """All of these or none: why none, empty where it is done. Raises botocore's errors for other reasons."""
        named: Any = [{kind: {"TableName": self.table} | write} for one in writes for kind, write in one.items()]
        try:
            self.client.transact_write_items(TransactItems=named)
        except self.client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])} - {"None", None}
            if not reasons <= {"ConditionalCheckFailed", "TransactionConflict"}:
                raise
            return {str(reason) for reason in reasons}
        return set()


def _account_key(account: str) -> str:
    """No hash has such a form."""
    return f"account#{account}"
