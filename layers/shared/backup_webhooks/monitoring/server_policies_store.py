"""ServerPoliciesTable: schedules and what backups have done about them. Key `serverPolicyId`.

Index `due` (`dueShard`, `deadline`) holds the active policies, keys only; index `byAccount` (`account`, `serverId`).
Moments are text in ISO 8601 to the millisecond, UTC, whose order is that of time. `days` maps a day to the numbers of
its results, `"{success} {partial success} {failed} {missed}"`: text, as thousands of them are read for one chart.
`streaks` maps an event to its streak, `"{count} {since} {latest}"`; so do
`lateStreaks`, and `recovered`, what ended at `recoveredAt`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.paging import InvalidCursor, Page, from_cursor, to_cursor
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.daily_counts import DailyCounts, DayCounts
from backup_webhooks.monitoring.expectation import TOLERANCE, History
from backup_webhooks.monitoring.server_policies import ServerBackup, ServerPolicy, TrackedPolicy
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
        """What is stored now (a consistent read); an empty one where nothing is."""
        answer = self.client.get_item(
            TableName=self.table, Key=to_item({"serverPolicyId": server_policy_id}), ConsistentRead=True
        )
        item = answer.get("Item")
        return _tracked(from_item(item)) if item else TrackedPolicy(server_policy_id)

    def save(self, tracked: TrackedPolicy) -> None:
        """Store it in place of the revision that it was made from; `Conflict` if that is no longer the one stored."""
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
        """The shard's policies whose deadline lies before `as_of`, the longest overdue first, a page at a time."""
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
        """The policies as they are now: an index lags behind its table."""
        keys = [to_item({"serverPolicyId": server_policy_id}) for server_policy_id in server_policy_ids]
        found: list[TrackedPolicy] = []
        request: Any = {self.table: {"Keys": keys, "ConsistentRead": True}}
        while request:
            answer = self.client.batch_get_item(RequestItems=request)
            found += [_tracked(from_item(item)) for item in answer["Responses"].get(self.table, [])]
            request = answer.get("UnprocessedKeys")
        return found

    def of_account(self, account: str) -> Iterator[TrackedPolicy]:
        """The account's server policies, by server."""
        return map(_tracked, self._items_of_account(account))

    def page(
        self, account: str, *, server_prefix: str = "", cursor: str | None = None, limit: int = _PAGE
    ) -> Page[TrackedPolicy]:
        """The account's server policies, by server, those whose server's id begins so. Raises `InvalidCursor`."""
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

    def days_of_account(self, account: str) -> Iterator[DailyCounts]:
        """The results by day of each of the account's server policies."""
        items = self._items_of_account(
            account, ProjectionExpression="#days", ExpressionAttributeNames={"#days": "days"}
        )
        return (_days(item) for item in items)

    def knows(self, account: str) -> bool:
        """Whether any server policy of the account was ever heard of."""
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
    """The policy's part of the index `due`: spreads what falls due at the same minute over 16 partitions."""
    return zlib.crc32(server_policy_id.encode()) % SHARDS


_SERVER_ATTRIBUTES = {
    "account": "account",
    "server_id": "serverId",
    "account_policy_id": "accountPolicyId",
    "account_policy_name": "accountPolicyName",
    "storage_region": "storageRegion",
}
_POLICY_ATTRIBUTES = _SERVER_ATTRIBUTES | {
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
_MOMENTS = {"changed_at", "settled_until", "starts", "finishes", "overdue", "last_started_at", "last_finished_at"}


def _fields(tracked: TrackedPolicy) -> dict[str, Any]:
    """The item's attributes. What is None is left out: an index takes no NULL, and is sparse for the lack of it."""
    # Not by `asdict` and `astuple`, which copy each of a month's moments: ten times as long.
    values: dict[str, Any] = {
        attribute: getattr(tracked.history, name) for name, attribute in _HISTORY_ATTRIBUTES.items()
    }
    if subject := tracked.server_backup:
        attributes = _POLICY_ATTRIBUTES if tracked.policy else _SERVER_ATTRIBUTES
        values |= {attribute: getattr(subject, name) for name, attribute in attributes.items()}
    if tracked.days:
        values["days"] = {
            str(day): f"{results.success} {results.partial_success} {results.failed} {results.missed}"
            for day, results in tracked.days.items()
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
    policy, heard_of = None, None
    if "changedDate" in item:
        policy = ServerPolicy(**_values(item, _POLICY_ATTRIBUTES))
        if policy.backup_interval_hours is not None:
            policy = replace(policy, backup_interval_hours=int(policy.backup_interval_hours))
    elif "account" in item:
        heard_of = ServerBackup(**_values(item, _SERVER_ATTRIBUTES))
    return TrackedPolicy(
        server_policy_id=item["serverPolicyId"],
        policy=policy,
        history=History(**_values(item, _HISTORY_ATTRIBUTES)),
        expected_at=_from_text(item["expectedAt"]) if "expectedAt" in item else None,
        last_missed_at=_from_text(item.get("lastMissedAt")),
        forgotten_until=_from_text(item.get("forgottenUntil")),
        days=_days(item),
        streaks=_streaks(item),
        heard_of=heard_of,
        revision=int(item["revision"]),
    )


def _days(item: dict[str, Any]) -> DailyCounts:
    days = item.get("days", {}).items()
    return {date.fromisoformat(day): DayCounts(*map(int, counts.split())) for day, counts in days}


def _streaks_values(streaks: Streaks) -> dict[str, Any]:
    recovery = streaks.recovery
    return {
        "streaks": _streaks_text(streaks.of_event),
        "lateStreaks": _streaks_text(streaks.late),
        "lastSuccessAt": streaks.last_success_at,
        "changedAt": streaks.changed_at,
        "recoveredAt": recovery and recovery.at,
        "recovered": _streaks_text(recovery.of_event) if recovery else None,
    }


def _streaks_text(streaks: Mapping[EventType, Streak]) -> dict[str, str] | None:
    return {str(event_type): _streak_text(streak) for event_type, streak in streaks.items()} or None


def _streak_text(streak: Streak) -> str:
    return f"{streak.count} {iso_milliseconds(streak.since)} {iso_milliseconds(streak.latest)}"


def _streaks(item: dict[str, Any]) -> Streaks:
    of_event, late, recovered = (
        {EventType(event_type): _streak(text) for event_type, text in item.get(name, {}).items()}
        for name in ("streaks", "lateStreaks", "recovered")
    )
    return Streaks(
        of_event=of_event,
        late=late,
        last_success_at=_from_text(item.get("lastSuccessAt")),
        changed_at=_from_text(item.get("changedAt")),
        recovery=Recovery(_from_text(item["recoveredAt"]), recovered) if recovered else None,
    )


def _streak(text: str) -> Streak:
    # Earlier versions have written a third moment.
    count, since, latest, *_ = text.split()
    return Streak(_from_text(since), _from_text(latest), int(count))


def _values(item: dict[str, Any], attributes: dict[str, str]) -> dict[str, Any]:
    return {
        name: _from_text(item.get(attribute)) if name in _MOMENTS else item.get(attribute)
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
