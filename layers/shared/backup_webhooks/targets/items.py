"""Targets as items of WebhooksTable: partition `account`, sort key `target`: `target#{targetId}`.

The item `target#` holds the account's revision: the number of changes that customers made to its targets. The item
`account` holds `parentAlias`, the account above this one or null, and `changedDate`, since when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

from backup_webhooks.aws.items import to_item
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.targets.event_filter import EventFilter
from backup_webhooks.targets.health import Health
from backup_webhooks.targets.preferences import Preferences, QuietHours
from backup_webhooks.targets.signing import SigningSecret
from backup_webhooks.targets.target import DeliveryMode, Target

PREFIX, PLACE = "target#", "account"
# Attributes whose names are, or may become, reserved words of DynamoDB.
NAMES = {
    "#url": "url",
    "#events": "events",
    "#filter": "filter",
    "#recursive": "recursive",
    "#format": "format",
    "#delivery": "delivery",
    "#enabled": "enabled",
    "#headers": "headers",
    "#preferences": "preferences",
    "#secrets": "secrets",
}


def update_options(expression: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names and values for the expressions. DynamoDB accepts no unused name, and no empty map of them."""
    options: dict[str, Any] = {}
    if names := {name: text for name, text in NAMES.items() if name in expression}:
        options["ExpressionAttributeNames"] = names
    if values:
        options["ExpressionAttributeValues"] = to_item(values)
    return options


def key_of(target: Target) -> dict[str, Any]:
    """Return the target's key, in wire form."""
    return to_item({"account": target.account, "target": f"{PREFIX}{target.target_id}"})


def settings_of(target: Target) -> dict[str, Any]:
    """Return the settings that a customer makes, by attribute."""
    return {
        "url": target.url,
        "events": list(map(str, target.event_types)),
        "filter": {
            "policies": list(target.filter.policies),
            "servers": list(target.filter.servers),
            "storageRegions": list(target.filter.storage_regions),
        },
        "recursive": target.recursive,
        "format": target.format,
        "destinationKey": target.destination_key,
        "delivery": str(target.delivery),
        "enabled": target.enabled,
        "headers": dict(target.headers),
        "preferences": _preferences_fields(target.preferences),
        "includeOutput": target.include_output,
    }


def is_target(fields: Mapping[str, Any]) -> bool:
    """Return whether the item of the account is a target."""
    return "url" in fields


def target_of(fields: Mapping[str, Any]) -> Target:
    """Return the target that the item holds."""
    return Target(
        account=fields["account"],
        event_types=tuple(map(EventType, fields["events"])),
        url=fields["url"],
        target_id=fields["target"].removeprefix(PREFIX),
        filter=_filter(fields["filter"]),
        recursive=fields["recursive"],
        format=fields["format"],
        destination_key=fields.get("destinationKey"),
        delivery=DeliveryMode(fields["delivery"]),
        enabled=fields["enabled"],
        headers=fields.get("headers", {}),
        preferences=_preferences(fields.get("preferences", {})),
        include_output=fields.get("includeOutput", False),
        secrets=tuple(
            SigningSecret(secret["value"], _timestamp(secret["expiresAt"])) for secret in fields.get("secrets", ())
        ),
        health=_health(fields),
        revision=int(fields["revision"]),
        begun=int(fields.get("begun", 0)),
    )


def secret_items(secrets: Sequence[SigningSecret]) -> list[dict[str, str | None]]:
    """Return the signing secrets as they are stored."""
    return [{"value": secret.value, "expiresAt": timestamp_text(secret.expires_at)} for secret in secrets]


def timestamp_text(timestamp: datetime | None) -> str | None:
    """Return the timestamp as it is stored."""
    return iso_milliseconds(timestamp) if timestamp else None


def _filter(fields: Mapping[str, Any]) -> EventFilter:
    return EventFilter(tuple(fields["policies"]), tuple(fields["servers"]), tuple(fields["storageRegions"]))


def _preferences_fields(preferences: Preferences) -> dict[str, Any]:
    quiet = preferences.quiet_hours
    return {
        "group": preferences.group,
        "changesOnly": preferences.changes_only,
        "remindHours": preferences.remind_hours,
        "quietHours": quiet
        and {"from": f"{quiet.start:%H:%M}", "until": f"{quiet.end:%H:%M}", "timezone": quiet.timezone},
    }


def _preferences(fields: Mapping[str, Any]) -> Preferences:
    remind, quiet = fields.get("remindHours"), fields.get("quietHours")
    return Preferences(
        group=fields.get("group", False),
        changes_only=fields.get("changesOnly", False),
        remind_hours=None if remind is None else int(remind),
        quiet_hours=quiet
        and QuietHours(time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["until"]), quiet["timezone"]),
    )


def _health(fields: Mapping[str, Any]) -> Health:
    status = fields.get("lastStatus")
    return Health(
        consecutive_failures=int(fields.get("consecutiveFailures", 0)),
        failing_since=_timestamp(fields.get("failingSince")),
        confirmed_at=_timestamp(fields.get("confirmedAt")),
        last_status=None if status is None else int(status),
        last_reason=fields.get("lastReason"),
        slow=fields.get("slow", False),
        switched_off_at=_timestamp(fields.get("switchedOffAt")),
        switched_off_reason=fields.get("switchedOffReason"),
    )


def _timestamp(text: str | None) -> datetime | None:
    return Timestamp.parse(text) if text else None
