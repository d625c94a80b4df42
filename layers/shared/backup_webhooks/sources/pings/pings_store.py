"""The part of PingKeysTable that pings use. Its key `pingKey` is the SHA-256 of a ping key in hexadecimal.

`pings` lists the last pings, the newest last, each as the text `{epoch milliseconds} {signal} {run id}`. The server
policy's fields are attributes of the same item. `keys_store` holds the operations of accounts on their keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds, from_epoch_milliseconds, iso_milliseconds
from backup_webhooks.sources.pings.rules import MOST_PINGS_A_MINUTE, Ping, PingKey, Signal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PingsStore(Struct, frozen=True):
    """Adds pings to their keys. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def add(self, key_hash: str, ping: Ping) -> tuple[PingKey | None, bool]:
        """Add the ping if the key has fewer than ten. Return the key as it is then, and whether the ping was added.

        A key with ten or more stays unchanged, as these may be the ten that a minute allows. The key is None if it does
        not exist.
        """
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": key_hash}),
                UpdateExpression="SET pings = list_append(pings, :ping)",
                ConditionExpression="attribute_exists(pingKey) AND size(pings) < :most",
                ExpressionAttributeValues=to_item({":ping": [_text(ping)], ":most": MOST_PINGS_A_MINUTE}),
                ReturnValues="ALL_NEW",
                # So one call shows whether the key has ten pings or does not exist.
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            item: Any = error.response.get("Item")
            return (ping_key_of(from_item(item)) if item else None), False
        return ping_key_of(from_item(answer["Attributes"])), True

    def replace(self, seen: PingKey, pings: Sequence[Ping]) -> bool:
        """Replace the key's pings. Return False, without a write, if they differ from the pings of `seen`."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": seen.key_hash}),
                UpdateExpression="SET pings = :pings",
                # `:pings` is there already if the first answer was lost and botocore repeated the write.
                ConditionExpression="pings = :seen OR pings = :pings",
                ExpressionAttributeValues=to_item(
                    {":pings": [_text(ping) for ping in pings], ":seen": [_text(ping) for ping in seen.pings]}
                ),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


_TEXT_ATTRIBUTES = {
    "key_hash": "pingKey",
    "account": "account",
    "server_id": "serverId",
    "server_policy_id": "serverPolicyId",
    "account_policy_id": "accountPolicyId",
    "account_policy_name": "accountPolicyName",
    "storage_region": "storageRegion",
    "backup_schedule": "backupSchedule",
    "timezone": "timezone",
}


def ping_key_of(fields: Mapping[str, Any]) -> PingKey:
    """Return the ping key of an item."""
    hours = fields.get("backupIntervalHours")
    return PingKey(
        **{name: fields.get(attribute) for name, attribute in _TEXT_ATTRIBUTES.items()},  # type: ignore[arg-type]
        backup_interval_hours=None if hours is None else int(hours),
        created_at=Timestamp.parse(fields["createdAt"]),
        changed_at=Timestamp.parse(fields["changedAt"]),
        pings=tuple(map(_ping, fields["pings"])),
    )


def fields_of(key: PingKey) -> dict[str, Any]:
    """Return the attributes of the ping key's item, with its key."""
    fields = {attribute: getattr(key, name) for name, attribute in _TEXT_ATTRIBUTES.items()} | {
        "backupIntervalHours": key.backup_interval_hours,
        "createdAt": iso_milliseconds(key.created_at),
        "changedAt": iso_milliseconds(key.changed_at),
        "pings": [_text(ping) for ping in key.pings],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _text(ping: Ping) -> str:
    return f"{epoch_milliseconds(ping.at)} {ping.signal} {ping.run_id}"


def _ping(text: str) -> Ping:
    at, signal, run_id = text.split(" ")
    return Ping(from_epoch_milliseconds(int(at)), Signal(signal), run_id)
