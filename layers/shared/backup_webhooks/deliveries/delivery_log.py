"""The delivery log: DeliveriesTable as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.aws.paging import InvalidCursor, from_cursor, to_cursor
from backup_webhooks.deliveries.deliveries_store import UNDELIVERED, DeliveryState, RecordedState, recorded_state
from backup_webhooks.deliveries.delivery import Delivery, Incident
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Bounds of one page: a filter that finds next to nothing must not take longer than its reader waits.
_MOST_QUERIES, _MOST_EXAMINED = 45, 3000
_EXAMINED_A_QUERY = 300
# Sorts after all keys of one millisecond, which go on with `#`.
_BEHIND = "$"


class DeliveryRecord(Struct, frozen=True):
    """A delivery as the log shows it.

    `claimed_at`, `url`, `milliseconds`: time, URL and duration of the latest attempt, or None before one.
    """

    delivery: Delivery
    recorded: RecordedState
    url: str | None
    claimed_at: datetime | None
    status: int | None
    reason: str | None
    milliseconds: int | None
    response: str

    @property
    def ended_at(self) -> datetime | None:
        """Return when the latest attempt ended, or None before that."""
        if self.claimed_at is None or self.milliseconds is None:
            return None
        return self.claimed_at + timedelta(milliseconds=self.milliseconds)


class LogPage(Struct, frozen=True):
    """Some records, the latest first. `cursor`: where the next page begins, or None if nothing is left.

    `searched_back_to`: the page holds all records of events since then. A page with a cursor may be short, or empty.
    """

    records: Sequence[DeliveryRecord]
    cursor: str | None
    searched_back_to: datetime


class DeliveryLog(Struct, frozen=True):
    """Reads the log. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def find(self, account: str, sort_key: str) -> DeliveryRecord | None:
        """Return the record with that key now (a consistent read), or None if there is none."""
        try:
            day = _day_of(sort_key)
        except ValueError:
            return None
        key = {"accountDay": _partition(account, day), "delivery": sort_key}
        item = self.client.get_item(TableName=self.table, Key=to_item(key), ConsistentRead=True).get("Item")
        return record_of(from_item(item)) if item else None

    def given_up(self, account: str, since: datetime, until: datetime) -> Iterator[str]:
        """Yield the target id of each delivery that was given up from `since` to before `until`."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="undelivered",
            KeyConditionExpression="undeliveredOf = :account AND givenUpAt BETWEEN :since AND :until",
            ExpressionAttributeValues=to_item(
                {
                    ":account": account,
                    ":since": iso_milliseconds(since),
                    ":until": iso_milliseconds(until - timedelta(milliseconds=1)),
                }
            ),
        )
        for page in pages:
            yield from (from_item(item)["targetId"] for item in page["Items"])

    def page(  # noqa: PLR0913
        self,
        account: str,
        *,
        since: datetime,
        until: datetime,
        limit: int,
        cursor: str | None = None,
        event_type: EventType | None = None,
        states: Sequence[DeliveryState] = (),
    ) -> LogPage:
        """Return the account's records of events from `since` to `until`, the latest first. Raise `InvalidCursor`.

        `event_type`, `states`: only those of that type, in one of these states; all if none is given.
        """
        wanted = {"event": [str(event_type)] if event_type else [], "state": list(map(str, states))}
        # One more than the page shows says whether there are more.
        found: list[dict[str, Any]] = []
        latest = iso_milliseconds(until) + _BEHIND
        before = min(_bound(cursor), latest) if cursor else latest
        day, examined = _day_of(before), 0
        for _ in range(_MOST_QUERIES):
            if before < iso_milliseconds(since):
                return _page(found, limit, None, since)
            if examined >= _MOST_EXAMINED or len(found) > limit:
                break
            at_once = _EXAMINED_A_QUERY if any(wanted.values()) else limit + 2 - len(found)
            query = self._query(account, day, iso_milliseconds(since), before, wanted)
            answer = self.client.query(**query, ScanIndexForward=False, Limit=at_once)
            # The record at the bound itself was on the page before.
            found += [item for item in map(from_item, answer["Items"]) if item["delivery"] != before]
            examined += answer["ScannedCount"]
            if "LastEvaluatedKey" in answer:
                before = from_item(answer["LastEvaluatedKey"])["delivery"]
            else:
                day -= timedelta(days=1)
                before = f"{day}T23:59:59.999Z{_BEHIND}"
        return _page(found, limit, before, since)

    def undelivered(
        self, account: str, since: datetime, *, until: datetime, limit: int, cursor: str | None = None
    ) -> LogPage:
        """Return records of deliveries that were given up, of events from `since` to `until`, the oldest first.

        The reads are consistent. `searched_back_to` is `since`. Raise `InvalidCursor`.
        """
        found: list[dict[str, Any]] = []
        latest = iso_milliseconds(until) + _BEHIND
        after = max(_bound(cursor), iso_milliseconds(since)) if cursor else iso_milliseconds(since)
        day, examined = _day_of(after), 0
        for _ in range(_MOST_QUERIES):
            if examined >= _MOST_EXAMINED or len(found) >= limit:
                break
            if after > latest:
                return LogPage([record_of(item) for item in found], None, since)
            query = self._query(account, day, after, latest, {"state": list(map(str, UNDELIVERED))})
            answer = self.client.query(**query, ConsistentRead=True, Limit=_EXAMINED_A_QUERY)
            # The record at the bound itself was on the page before.
            found += [item for item in map(from_item, answer["Items"]) if item["delivery"] != after]
            examined += answer["ScannedCount"]
            if "LastEvaluatedKey" in answer:
                after = from_item(answer["LastEvaluatedKey"])["delivery"]
            else:
                day += timedelta(days=1)
                after = f"{day}T00:00:00.000Z"
        if len(found) > limit:
            found = found[:limit]
            after = found[-1]["delivery"]
        return LogPage([record_of(item) for item in found], to_cursor(after), since)

    def _query(
        self, account: str, day: date, first: str, last: str, wanted: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> dict[str, Any]:
        filters = {
            name: {f":{name}{position}": value for position, value in enumerate(values)}
            for name, values in wanted.items()
            if values
        }
        values = {":accountDay": _partition(account, day), ":first": first, ":last": last}
        query = {
            "TableName": self.table,
            "KeyConditionExpression": "accountDay = :accountDay AND delivery BETWEEN :first AND :last",
            "ExpressionAttributeValues": to_item(reduce(or_, filters.values(), values)),
        }
        if filters:
            query["FilterExpression"] = " AND ".join(f"#{name} IN ({', '.join(of)})" for name, of in filters.items())
            query["ExpressionAttributeNames"] = {f"#{name}": name for name in filters}
        return query


def _partition(account: str, day: date) -> str:
    return f"{account}#{day}"


def _page(found: list[dict[str, Any]], limit: int, before: str | None, since: datetime) -> LogPage:
    if len(found) > limit:
        found = found[:limit]
        before = found[-1]["delivery"]
    records = [record_of(item) for item in found]
    return LogPage(records, to_cursor(before), _timestamp_of(before)) if before else LogPage(records, None, since)


def _bound(cursor: str) -> str:
    (before,) = from_cursor(cursor, 1)
    try:
        _day_of(before)
    except ValueError:
        raise InvalidCursor(cursor) from None
    return before


def _timestamp_of(sort_key: str) -> Timestamp:
    return Timestamp.parse(sort_key.partition("#")[0].removesuffix(_BEHIND))


def _day_of(sort_key: str) -> date:
    return _timestamp_of(sort_key).date()


def record_of(item: dict[str, Any]) -> DeliveryRecord:
    """Return the record that the item of DeliveriesTable holds."""
    # An id may hold a `#` itself.
    occurred_at, _, rest = item["delivery"].partition("#")
    subject_id, _, target = rest.partition("#")[2].rpartition("#")
    status, milliseconds, claimed_at = (item.get(name) for name in ("httpStatus", "milliseconds", "claimedAt"))
    return DeliveryRecord(
        delivery=Delivery(
            account=item["account"],
            event_type=EventType(item["event"]),
            target_id=item["targetId"],
            occurred_at=Timestamp.parse(occurred_at),
            subject_id=subject_id,
            body=item["body"],
            format=item.get("format", "text"),
            plain_body=item.get("plainBody"),
            policy_mark=target.partition(".")[2],
            incident=convert(item["incident"], Incident, dec_hook=Timestamp.decode) if item.get("incident") else None,
        ),
        recorded=recorded_state(item),
        url=item.get("url"),
        claimed_at=claimed_at and Timestamp.parse(claimed_at),
        status=None if status is None else int(status),
        reason=item.get("error"),
        milliseconds=None if milliseconds is None else int(milliseconds),
        response=item.get("response", ""),
    )
