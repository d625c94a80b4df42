"""PingKeysTable, as pings use it. Key `pingKey`: the SHA-256 of a ping key, hexadecimal.

`pings` are the last ones, each as text, `{epoch milliseconds} {signal} {run id}`, the newest last. The policy's fields
stand beside them. What accounts do with their keys is in `stores/ping_keys.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import Timestamp, epoch_milliseconds, from_epoch_milliseconds, iso_milliseconds
from backup_webhooks.sources.pings.rules import MOST_A_MINUTE, Ping, PingKey, Signal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PingsStore(Struct, frozen=True):
    """Adds pings to their keys. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def add(self, key_hash: str, ping: Ping) -> tuple[PingKey | None, bool]:
        """Add it where fewer than ten are remembered: the key as it is then, and True.

        With False: as it is, unchanged, with ten or more, among which there may be as many as a minute allows. None
        where there is no such key.
        """
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": key_hash}),
                UpdateExpression="SET pings = list_append(pings, :ping)",
                ConditionExpression="attribute_exists(pingKey) AND size(pings) < :most",
                ExpressionAttributeValues=to_item({":ping": [_text(ping)], ":most": MOST_A_MINUTE}),
                ReturnValues="ALL_NEW",
                # Both what is there and that nothing is, in this one call.
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            item: Any = error.response.get("Item")
            return (ping_key_of(from_item(item)) if item else None), False
        return ping_key_of(from_item(answer["Attributes"])), True

    def replace(self, seen: PingKey, pings: Sequence[Ping]) -> bool:
        """Put these in the place of the key's pings; False where they are no longer those that were seen."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"pingKey": seen.key_hash}),
                UpdateExpression="SET pings = :pings",
                # The latter: an answer that was lost made botocore write twice.
                ConditionExpression="pings = :seen OR pings = :pings",
                ExpressionAttributeValues=to_item(
                    {":pings": [_text(ping) for ping in pings], ":seen": [_text(ping) for ping in seen.pings]}
                ),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


_TEXTS = {
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
    """The key that the item is."""
    hours = fields.get("backupIntervalHours")
    return PingKey(
        **{name: fields.get(attribute) for name, attribute in _TEXTS.items()},  # type: ignore[arg-type]
        backup_interval_hours=None if hours is None else int(hours),
        created_at=Timestamp.parse(fields["createdAt"]),
        changed_at=Timestamp.parse(fields["changedAt"]),
        pings=tuple(map(_ping, fields["pings"])),
    )


def fields_of(key: PingKey) -> dict[str, Any]:
    """The item's attributes, its own key among them."""
    fields = {attribute: getattr(key, name) for name, attribute in _TEXTS.items()} | {
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
