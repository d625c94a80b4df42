"""ServerPoliciesTable: server policies and what is known of their backups. Key `account`, `serverPolicyId`.

Three indexes hold only keys, so that few writes touch them. `due` (`dueShard`, `deadline`) has the policies of which a
start is expected, `byServer` (`account`, `serverId`) has all, and `troubled` (`account`, `troubledSince`) those whose
trouble lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.aws.items import from_item, get_items, to_item
from backup_webhooks.aws.paging import InvalidCursor, Page, from_cursor, to_cursor
from backup_webhooks.aws.retry import retry_on_conflict
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.daily_counts import DailyCounts
from backup_webhooks.monitoring.items import daily_counts, policy_item, tracked_policy
from backup_webhooks.monitoring.server_policies import TrackedPolicy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The most server policies of an account whose servers' names are all looked through.
MOST_SEARCHED = 5000
_PAGE = 100  # the most that BatchGetItem takes
# In a backlog all ten messages of a batch may be about one server policy, and one writer wins each round.
_TRIES = 12

# The attributes by which the indexes of an account are sorted.
_ORDERS = {"byServer": "serverId", "troubled": "troubledSince"}

type _Key = Mapping[str, str]


class ServersPage(Page[TrackedPolicy], frozen=True):
    """A page of server policies, by server.

    `by_beginning`: whether the account has too many for a search, which therefore compared only how names begin.
    """

    by_beginning: bool = False


class ServerPoliciesStore(Struct, frozen=True):
    """Reads and writes server policies. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def load(self, account: str, server_policy_id: str) -> TrackedPolicy:
        """Return what is stored now (a consistent read), or an empty policy if nothing is."""
        key = {"account": account, "serverPolicyId": server_policy_id}
        item = self.client.get_item(TableName=self.table, Key=to_item(key), ConsistentRead=True).get("Item")
        return tracked_policy(from_item(item)) if item else TrackedPolicy(account, server_policy_id)

    def save(self, tracked: TrackedPolicy) -> None:
        """Replace the revision that it was made from. Raise `Conflict` if another revision is stored."""
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(policy_item(replace(tracked, revision=tracked.revision + 1))),
                ConditionExpression="attribute_not_exists(serverPolicyId) OR revision = :seen",
                ExpressionAttributeValues=to_item({":seen": tracked.revision}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(tracked.server_policy_id) from None

    def change(
        self, account: str, server_policy_id: str, change: Callable[[TrackedPolicy], TrackedPolicy]
    ) -> TrackedPolicy:
        """Store the changed policy, changed anew if another writer came first. Return what is stored then.

        Raise `Conflict` if other writers kept coming first.
        """

        def attempt() -> TrackedPolicy:
            before = self.load(account, server_policy_id)
            after = change(before)
            if after != before:
                self.save(after)
            return after

        return retry_on_conflict(attempt, _TRIES)

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
                keys = map(from_item, page["Items"])
                yield self._load_all({name: key[name] for name in ("account", "serverPolicyId")} for key in keys)

    def of_account(self, account: str) -> Iterator[TrackedPolicy]:
        """Yield the account's server policies, by their ids."""
        return map(tracked_policy, self._items_of_account(account))

    def page(self, account: str, *, server: str = "", cursor: str | None = None, limit: int = _PAGE) -> ServersPage:
        """Return a page of the account's server policies, by server, whose server's name contains `server`.

        Upper and lower case are alike. Of more than 5,000 server policies, it finds those whose server's name begins
        with `server`, in that case. Raise `InvalidCursor` for a cursor that is not from this list.
        """
        places = list(islice(self._servers(account), MOST_SEARCHED + 1)) if server else []
        if not server or len(places) > MOST_SEARCHED:
            page = self._page_of("byServer", account, cursor, limit, beginning=server)
            return ServersPage(page.items, page.cursor, by_beginning=bool(server))
        after = tuple(from_cursor(cursor, 2)) if cursor else ()
        part = server.casefold()
        found = [place for place in sorted(places) if part in place[0].casefold() and place > after][: limit + 1]
        return ServersPage(
            items=self._load_in_order(account, [server_policy_id for _, server_policy_id in found[:limit]]),
            cursor=to_cursor(*found[limit - 1]) if len(found) > limit else None,
        )

    def troubled(self, account: str, *, cursor: str | None = None, limit: int = _PAGE) -> Page[TrackedPolicy]:
        """Return a page of the account's server policies whose trouble lasts, the longest first.

        Raise `InvalidCursor` for a cursor that is not from this list.
        """
        return self._page_of("troubled", account, cursor, limit)

    def daily_counts_of_account(self, account: str) -> Iterator[DailyCounts]:
        """Yield the daily counts of each of the account's server policies."""
        items = self._items_of_account(
            account, ProjectionExpression="#days", ExpressionAttributeNames={"#days": "days"}
        )
        return (daily_counts(item) for item in items)

    def knows(self, account: str) -> bool:
        """Return whether any server policy of the account was ever recorded."""
        return bool(self.client.query(TableName=self.table, Limit=1, **_of_account(account))["Items"])

    def _items_of_account(self, account: str, **options: Any) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(TableName=self.table, **_of_account(account), **options)
        return (from_item(item) for page in pages for item in page["Items"])

    def _servers(self, account: str) -> Iterator[tuple[str, str]]:
        """Yield each server policy's server and id."""
        items = self._items_of_account(account, IndexName="byServer")
        return ((item["serverId"], item["serverPolicyId"]) for item in items)

    def _page_of(
        self, index: str, account: str, cursor: str | None, limit: int, beginning: str = ""
    ) -> Page[TrackedPolicy]:
        """Return a page in the order of the index. `beginning`: how the attribute that it is sorted by begins."""
        order, query = _ORDERS[index], _of_account(account)
        if beginning:
            query["KeyConditionExpression"] += f" AND begins_with({order}, :beginning)"
            query["ExpressionAttributeValues"] |= to_item({":beginning": beginning})
        if cursor:
            place, server_policy_id = from_cursor(cursor, 2)
            if not place.startswith(beginning):
                raise InvalidCursor(cursor)
            start = {"account": account, order: place, "serverPolicyId": server_policy_id}
            query["ExclusiveStartKey"] = to_item(start)
        answer = self.client.query(TableName=self.table, IndexName=index, Limit=limit, **query)
        last = from_item(answer.get("LastEvaluatedKey", {}))
        return Page(
            items=self._load_in_order(account, [item["serverPolicyId"]["S"] for item in answer["Items"]]),
            cursor=to_cursor(last[order], last["serverPolicyId"]) if last else None,
        )

    def _load_in_order(self, account: str, server_policy_ids: Sequence[str]) -> Sequence[TrackedPolicy]:
        keys = [{"account": account, "serverPolicyId": server_policy_id} for server_policy_id in server_policy_ids]
        found = {tracked.server_policy_id: tracked for tracked in self._load_all(keys)}
        return [found[server_policy_id] for server_policy_id in server_policy_ids if server_policy_id in found]

    def _load_all(self, keys: Iterable[_Key]) -> Sequence[TrackedPolicy]:
        """Return the policies as they are now (consistent reads), in any order."""
        return [tracked_policy(item) for item in get_items(self.client, self.table, keys)]


def _of_account(account: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "account = :account",
        "ExpressionAttributeValues": to_item({":account": account}),
    }
