"""The part of PingKeysTable that accounts use: their keys are made, listed, changed and revoked.

Each account has an item `account#{account}` with the set `pingKeys` of its keys' hashes. So reads of the list are
consistent, its length is bounded exactly, and pings write no index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, get_items, to_item
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.sources.pings.pings_store import fields_of, ping_key_of
from backup_webhooks.sources.pings.rules import PingKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# One BatchGetItem reads no more.
MOST_PING_KEYS = 100


class TooManyPingKeys(Exception):
    """The account has as many ping keys as are allowed."""


class PingKeysStore(Struct, frozen=True):
    """Reads and writes ping keys. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def of_account(self, account: str) -> Sequence[PingKey]:
        """Return the account's keys, the oldest first, by consistent reads."""
        keys = [{"pingKey": key_hash} for key_hash in self._hashes(account)]
        found = [ping_key_of(item) for item in get_items(self.client, self.table, keys)]
        return sorted(found, key=lambda key: (key.created_at, key.key_hash))

    def find(self, account: str, ping_key_id: str) -> PingKey | None:
        """Return the account's key with that id, or None if it has none, by consistent reads."""
        for key_hash in self._hashes(account):
            if key_hash[:16] == ping_key_id:
                answer = self.client.get_item(
                    TableName=self.table, Key=to_item({"pingKey": key_hash}), ConsistentRead=True
                )
                return ping_key_of(from_item(answer["Item"])) if "Item" in answer else None
        return None

    def add(self, key: PingKey) -> None:
        """Store a new key. Raise `TooManyPingKeys` or `Conflict`."""
        put = {"Item": to_item(fields_of(key)), "ConditionExpression": "attribute_not_exists(pingKey)"}
        list_update = self._list_update(key, "ADD") | {
            "ConditionExpression": "attribute_not_exists(pingKeys) OR size(pingKeys) < :most"
        }
        list_update["ExpressionAttributeValues"] |= to_item({":most": MOST_PING_KEYS})
        failures = self._write({"Put": put}, {"Update": list_update})
        if "ConditionalCheckFailed" in failures:
            raise TooManyPingKeys(key.account)
        if failures:
            raise Conflict(key.ping_key_id)

    def change(self, seen: PingKey, wanted: PingKey) -> None:
        """Store another schedule of a key and leave its pings. Raise `Conflict` if it was changed or revoked since."""
        names = ("backupSchedule", "backupIntervalHours", "timezone", "changedAt")
        values = {name: fields_of(wanted).get(name) for name in names}
        removed = [name for name, value in values.items() if value is None]
        given = {f":{name}": value for name, value in values.items() if value is not None}
        update = "SET " + ", ".join(f"#{name[1:]} = {name}" for name in given)
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": seen.key_hash}),
                UpdateExpression=update + (f" REMOVE {', '.join(f'#{name}' for name in removed)}" if removed else ""),
                # `:changedAt` is there already if the first answer was lost and botocore repeated the write.
                ConditionExpression="#changedAt IN (:seen, :changedAt)",
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues=to_item(given | {":seen": iso_milliseconds(seen.changed_at)}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(seen.ping_key_id) from None

    def remove(self, key: PingKey) -> None:
        """Delete the key, unless that was done already. Raise `Conflict`."""
        if self._write(
            {"Delete": {"Key": to_item({"pingKey": key.key_hash})}}, {"Update": self._list_update(key, "DELETE")}
        ):
            raise Conflict(key.ping_key_id)

    def _hashes(self, account: str) -> Sequence[str]:
        key = to_item({"pingKey": _account_key(account)})
        answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        return sorted(from_item(answer.get("Item", {})).get("pingKeys", ()))

    def _list_update(self, key: PingKey, action: str) -> dict[str, Any]:
        """Return the update that adds the key's hash to the account's set, or deletes it."""
        return {
            "Key": to_item({"pingKey": _account_key(key.account)}),
            "UpdateExpression": f"{action} pingKeys :pingKeys",
            "ExpressionAttributeValues": to_item({":pingKeys": {key.key_hash}}),
        }

    def _write(self, *writes: dict[str, Any]) -> set[str]:
        """Write all of these or none. Return the codes of failed conditions and conflicts: empty if all are written."""
        items: Any = [{kind: {"TableName": self.table} | write} for item in writes for kind, write in item.items()]
        try:
            self.client.transact_write_items(TransactItems=items)
        except self.client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])} - {"None", None}
            if not reasons <= {"ConditionalCheckFailed", "TransactionConflict"}:
                raise
            return {str(reason) for reason in reasons}
        return set()


def _account_key(account: str) -> str:
    # No hash has this form.
    return f"account#{account}"
