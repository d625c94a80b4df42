"""ServerPoliciesTable: server policies and what is known of their backups. Key `serverPolicyId`.

Index `due` (`dueShard`, `deadline`) holds the keys of the active policies. Index `byAccount`: `account`, `serverId`.
Timestamps are text in ISO 8601 to the millisecond, UTC, which sorts by time. `days` maps a day to its counts,
`"{success} {partial success} {failed} {missed}"`: text, as one chart reads thousands of them. `streaks` maps an event
type to its streak, `"{count} {since} {latest}"`. So do `lateStreaks` and `recovered`, the streaks that ended at
`recoveredAt`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, get_items, to_item
from backup_webhooks.aws.paging import InvalidCursor, Page, from_cursor, to_cursor
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.daily_counts import DailyCounts, DayCounts
from backup_webhooks.monitoring.expectation import TOLERANCE, History
from backup_webhooks.monitoring.server_policies import PolicyIdentity, ServerPolicy, TrackedPolicy
from backup_webhooks.monitoring.streaks import Recovery, Streak, Streaks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = 16
_PAGE = 100  # the most that BatchGetItem takes


class ServerPoliciesStore(Struct, frozen=True):
    """Reads and writes server policies. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def load(self, server_policy_id: str) -> TrackedPolicy:
        """Return what is stored now (a consistent read), or an empty policy if nothing is."""
        answer = self.client.get_item(
            TableName=self.table, Key=to_item({"serverPolicyId": server_policy_id}), ConsistentRead=True
        )
        item = answer.get("Item")
        return _tracked(from_item(item)) if item else TrackedPolicy(server_policy_id)

    def save(self, tracked: TrackedPolicy) -> None:
        """Replace the revision that it was made from. Raise `Conflict` if another revision is stored."""
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(_fields(replace(tracked, revision=tracked.revision + 1))),
                ConditionExpression="attribute_not_exists(serverPolicyId) OR revision = :seen",
                ExpressionAttributeValues=to_item({":seen": tracked.revision}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(tracked.server_policy_id) from None

    def due(self, shard: int, as_of: datetime) -> Iterator[Sequence[TrackedPolicy]]:
        """Yield pages of the shard's policies whose deadline lies before `as_of`, the longest overdue first.

        The index lags behind the table: some of them may have no such deadline any more.
        """
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="due",
            KeyConditionExpression="dueShard = :shard AND deadline < :asOf",
            ExpressionAttributeValues=to_item({":shard": shard, ":asOf": iso_milliseconds(as_of)}),
            PaginationConfig={"PageSize": _PAGE},
        )
        for page in pages:
            if page["Items"]:
                yield self._load_all([item["serverPolicyId"]["S"] for item in page["Items"]])

    def _load_all(self, server_policy_ids: list[str]) -> Sequence[TrackedPolicy]:
        """Return the policies as they are now, in any order."""
        keys = [{"serverPolicyId": server_policy_id} for server_policy_id in server_policy_ids]
        return [_tracked(item) for item in get_items(self.client, self.table, keys)]

    def of_account(self, account: str) -> Iterator[TrackedPolicy]:
        """Yield the account's server policies, by server."""
        return map(_tracked, self._items_of_account(account))

    def page(
        self, account: str, *, server_prefix: str = "", cursor: str | None = None, limit: int = _PAGE
    ) -> Page[TrackedPolicy]:
        """Return a page of the account's server policies, by server, whose server's id begins with the prefix.

        Raise `InvalidCursor` for a cursor that is not from this list.
        """
        query = _of_account(account)
        if server_prefix:
            query["KeyConditionExpression"] += " AND begins_with(serverId, :prefix)"
            query["ExpressionAttributeValues"] |= to_item({":prefix": server_prefix})
        if cursor:
            server_id, server_policy_id = from_cursor(cursor, 2)
            if not server_id.startswith(server_prefix):
                raise InvalidCursor(cursor)
            start = {"account": account, "serverId": server_id, "serverPolicyId": server_policy_id}
            query["ExclusiveStartKey"] = to_item(start)
        answer = self.client.query(TableName=self.table, Limit=limit, **query)
        last = from_item(answer.get("LastEvaluatedKey", {}))
        return Page(
            items=[_tracked(from_item(item)) for item in answer["Items"]],
            cursor=to_cursor(last["serverId"], last["serverPolicyId"]) if last else None,
        )

    def daily_counts_of_account(self, account: str) -> Iterator[DailyCounts]:
        """Yield the daily counts of each of the account's server policies."""
        items = self._items_of_account(
            account, ProjectionExpression="#days", ExpressionAttributeNames={"#days": "days"}
        )
        return (_daily_counts(item) for item in items)

    def knows(self, account: str) -> bool:
        """Return whether any server policy of the account was ever recorded."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def _items_of_account(self, account: str, **options: Any) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(TableName=self.table, **_of_account(account), **options)
        return (from_item(item) for page in pages for item in page["Items"])


def _of_account(account: str) -> dict[str, Any]:
    return {
        "IndexName": "byAccount",
        "KeyConditionExpression": "account = :account",
        "ExpressionAttributeValues": to_item({":account": account}),
    }


def shard_of(server_policy_id: str) -> int:
    """Return the policy's partition of the index `due`: 16 of them share what falls due at the same minute."""
    return zlib.crc32(server_policy_id.encode()) % SHARDS


_IDENTITY_ATTRIBUTES = {
    "account": "account",
    "server_id": "serverId",
    "account_policy_id": "accountPolicyId",
    "account_policy_name": "accountPolicyName",
    "storage_region": "storageRegion",
}
_POLICY_ATTRIBUTES = _IDENTITY_ATTRIBUTES | {
    "account_policy_status": "accountPolicyStatus",
    "server_policy_status": "serverPolicyStatus",
    "changed_at": "changedDate",
    "backup_schedule": "backupSchedule",
    "backup_interval_hours": "backupIntervalHours",
    "timezone": "timezone",
}
_HISTORY_ATTRIBUTES = {
    "settled_until": "settledUntil",
    "starts": "starts",
    "finishes": "finishes",
    "overdue": "overdue",
    "last_started_at": "lastStartedAt",
    "last_finished_at": "lastFinishedAt",
    "last_status": "lastStatus",
}
_TIMESTAMPS = {"changed_at", "settled_until", "starts", "finishes", "overdue", "last_started_at", "last_finished_at"}


def _fields(tracked: TrackedPolicy) -> dict[str, Any]:
    """Return the item's attributes. None is left out: no index takes NULL, and `due` is to lack such items."""
    # Not by `asdict` and `astuple`: they copy each of a month's timestamps and take ten times as long.
    values: dict[str, Any] = {
        attribute: getattr(tracked.history, name) for name, attribute in _HISTORY_ATTRIBUTES.items()
    }
    if identity := tracked.identity:
        attributes = _POLICY_ATTRIBUTES if tracked.policy else _IDENTITY_ATTRIBUTES
        values |= {attribute: getattr(identity, name) for name, attribute in attributes.items()}
    if tracked.daily_counts:
        values["days"] = {
            str(day): f"{counts.success} {counts.partial_success} {counts.failed} {counts.missed}"
            for day, counts in tracked.daily_counts.items()
        }
    values |= _streaks_values(tracked.streaks)
    if tracked.expected_at:
        values["expectedAt"] = tracked.expected_at
        values["deadline"] = tracked.expected_at + TOLERANCE
        values["dueShard"] = shard_of(tracked.server_policy_id)
    values |= {"lastMissedAt": tracked.last_missed_at, "forgottenUntil": tracked.forgotten_until}
    values |= {"serverPolicyId": tracked.server_policy_id, "revision": tracked.revision}
    return {name: _to_text(value) for name, value in values.items() if value is not None}


def _tracked(item: dict[str, Any]) -> TrackedPolicy:
    policy, identity = None, None
    if "changedDate" in item:
        policy = ServerPolicy(**_values(item, _POLICY_ATTRIBUTES))
        if policy.backup_interval_hours is not None:
            policy = replace(policy, backup_interval_hours=int(policy.backup_interval_hours))
    elif "account" in item:
        identity = PolicyIdentity(**_values(item, _IDENTITY_ATTRIBUTES))
    return TrackedPolicy(
        server_policy_id=item["serverPolicyId"],
        policy=policy,
        history=History(**_values(item, _HISTORY_ATTRIBUTES)),
        expected_at=_from_text(item["expectedAt"]) if "expectedAt" in item else None,
        last_missed_at=_from_text(item.get("lastMissedAt")),
        forgotten_until=_from_text(item.get("forgottenUntil")),
        daily_counts=_daily_counts(item),
        streaks=_streaks(item),
        identity_from_backup=identity,
        revision=int(item["revision"]),
    )


def _daily_counts(item: dict[str, Any]) -> DailyCounts:
    days = item.get("days", {}).items()
    return {date.fromisoformat(day): DayCounts(*map(int, counts.split())) for day, counts in days}


def _streaks_values(streaks: Streaks) -> dict[str, Any]:
    recovery = streaks.recovery
    return {
        "streaks": _streaks_text(streaks.by_event_type),
        "lateStreaks": _streaks_text(streaks.late),
        "lastSuccessAt": streaks.last_success_at,
        "changedAt": streaks.changed_at,
        "recoveredAt": recovery and recovery.at,
        "recovered": _streaks_text(recovery.by_event_type) if recovery else None,
    }


def _streaks_text(streaks: Mapping[EventType, Streak]) -> dict[str, str] | None:
    return {str(event_type): _streak_text(streak) for event_type, streak in streaks.items()} or None


def _streak_text(streak: Streak) -> str:
    return f"{streak.count} {iso_milliseconds(streak.since)} {iso_milliseconds(streak.latest)}"


def _streaks(item: dict[str, Any]) -> Streaks:
    by_event_type, late, recovered = (
        {EventType(event_type): _streak(text) for event_type, text in item.get(name, {}).items()}
        for name in ("streaks", "lateStreaks", "recovered")
    )
    return Streaks(
        by_event_type=by_event_type,
        late=late,
        last_success_at=_from_text(item.get("lastSuccessAt")),
        changed_at=_from_text(item.get("changedAt")),
        recovery=Recovery(_from_text(item["recoveredAt"]), recovered) if recovered else None,
    )


def _streak(text: str) -> Streak:
    # Earlier versions wrote a third timestamp.
    count, since, latest, *_ = text.split()
    return Streak(_from_text(since), _from_text(latest), int(count))


def _values(item: dict[str, Any], attributes: dict[str, str]) -> dict[str, Any]:
    return {
        name: _from_text(item.get(attribute)) if name in _TIMESTAMPS else item.get(attribute)
        for name, attribute in attributes.items()
    }


def _to_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_milliseconds(value)
    return [iso_milliseconds(timestamp) for timestamp in value] if isinstance(value, tuple) else value


def _from_text(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(datetime.fromisoformat(text) for text in value)
    return value and datetime.fromisoformat(value)
