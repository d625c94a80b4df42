"""ServerPoliciesTable as the page reads it: by account, in pages, with daily counts."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
from backup_webhooks.aws.paging import InvalidCursor, Page, to_cursor
from backup_webhooks.monitoring import server_policies_store
from backup_webhooks.monitoring.daily_counts import DayCounts, sum_by_day
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from msgspec.structs import replace

from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.policies import LONG_AGO, at, changed, finished, record


@pytest.fixture
def store(stack: Stack) -> ServerPoliciesStore:
    return ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])


def add_servers(store: ServerPoliciesStore, account: str, *servers: str) -> None:
    for server in servers:
        policy_id = str(uuid.uuid4())
        message = changed("12-20 16:00", server_policy_id=policy_id, clc_account_alias=account, server_id=server)
        store.save(store.load(account, policy_id).after(message))


def test_pages_hold_each_server_policy_of_the_account_once_and_no_other(
    store: ServerPoliciesStore, account: Account
) -> None:
    servers = [f"SERVER{number}" for number in range(5)]
    add_servers(store, account.alias, *servers)
    add_servers(store, f"{account.alias}X", "OTHERS")

    found, cursor = [], None
    for _ in range(4):
        page = store.page(account.alias, cursor=cursor, limit=2)
        found += [tracked.identity.server_id for tracked in page.items if tracked.identity]
        if (cursor := page.cursor) is None:
            break

    assert found == servers


def names(page: Page[TrackedPolicy]) -> list[str]:
    return [tracked.identity.server_id for tracked in page.items if tracked.identity]


def test_servers_are_found_by_any_part_of_their_names_in_any_case(store: ServerPoliciesStore, account: Account) -> None:
    add_servers(store, account.alias, "Web-STRASSE1", "db1", "web-straße2", "x-WEB3")

    assert names(store.page(account.alias, server="WEB")) == ["Web-STRASSE1", "web-straße2", "x-WEB3"]
    assert names(store.page(account.alias, server="strasse")) == ["Web-STRASSE1", "web-straße2"]
    first = store.page(account.alias, server="web", limit=2)
    rest = store.page(account.alias, server="web", limit=2, cursor=first.cursor)
    assert (names(first), names(rest), rest.cursor) == (["Web-STRASSE1", "web-straße2"], ["x-WEB3"], None)
    assert not first.by_beginning


def test_of_too_many_servers_those_are_found_whose_names_begin_so(
    store: ServerPoliciesStore, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_policies_store, "MOST_SEARCHED", 3)
    add_servers(store, account.alias, "WEB1", "WEB2", "DB1", "x-WEB3")

    page = store.page(account.alias, server="WEB", limit=1)
    rest = store.page(account.alias, server="WEB", cursor=page.cursor)

    assert (names(page), names(rest)) == (["WEB1"], ["WEB2"])
    assert page.by_beginning
    with pytest.raises(InvalidCursor):
        store.page(account.alias, server="DB", cursor=page.cursor)


def test_troubled_policies_are_found_the_longest_first(store: ServerPoliciesStore, account: Account) -> None:
    def add(server: str, *results: str, missed: bool = False) -> str:
        fields = {"server_policy_id": str(uuid.uuid4()), "server_id": server}
        record(store, changed("12-01 16:00", clc_account_alias=account.alias, **fields))
        for day, status in enumerate(results):
            message = finished(f"12-{day + 1:02} 17:00", f"12-{day + 1:02} 18:00", status, **fields)
            record(store, replace(message, account_alias=account.alias))
        if missed:
            known = store.load(account.alias, fields["server_policy_id"])
            store.save(known.after_miss(LONG_AGO))
        return fields["server_policy_id"]

    add("OK", "FAILED", "SUCCESS")
    add("PARTIAL-SINCE-THE-THIRD", "SUCCESS", "SUCCESS", "PARTIAL_SUCCESS", "CANCELLED")
    add("FAILED-SINCE-THE-SECOND", "SUCCESS", "FAILED", "FAILED", "PARTIAL_SUCCESS")
    add("MISSED-SINCE-THE-FIRST", missed=True)
    gone, ignored = add("GONE", "FAILED"), add("IGNORED", "FAILED")
    off = changed(
        "12-09 00:00", server_policy_id=gone, clc_account_alias=account.alias, server_policy_status="INACTIVE"
    )
    record(store, off)
    store.change(account.alias, ignored, lambda known: known.watching(False, at("12-09 00:00")))

    first = store.troubled(account.alias, limit=2)
    rest = store.troubled(account.alias, limit=2, cursor=first.cursor)

    assert names(first) == ["MISSED-SINCE-THE-FIRST", "FAILED-SINCE-THE-SECOND"]
    assert (names(rest), rest.cursor) == (["PARTIAL-SINCE-THE-THIRD"], None)


@pytest.mark.parametrize(
    "cursor",
    ["?", "é", "AAAA", to_cursor(), to_cursor("a"), to_cursor("a", ""), to_cursor("a", "x" * 2000), "e30", "WzEsMl0"],
)
def test_an_invalid_cursor_is_refused(store: ServerPoliciesStore, account: Account, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        store.page(account.alias, cursor=cursor)


def test_a_cursor_of_another_account_leads_through_the_own_account_only(
    store: ServerPoliciesStore, account: Account
) -> None:
    add_servers(store, account.alias, "A1", "A2")
    add_servers(store, f"{account.alias}X", "A1", "A2")
    others = store.page(f"{account.alias}X", limit=1).cursor

    page = store.page(account.alias, cursor=others)

    assert all(tracked.account == account.alias for tracked in page.items)


def test_results_and_misses_are_kept_by_day_and_add_up_for_the_account(
    store: ServerPoliciesStore, account: Account
) -> None:
    """One server has a policy message, and of the other only its backups are known."""
    with_policy, without_policy = str(uuid.uuid4()), str(uuid.uuid4())
    record(store, changed("12-20 16:00", server_policy_id=with_policy, clc_account_alias=account.alias))
    store.save(store.load(account.alias, with_policy).after_miss(LONG_AGO))
    for _ in range(2):
        record(
            store,
            finished(
                "12-20 01:00", "12-20 01:10", "FAILED", server_policy_id=without_policy, account_alias=account.alias
            ),
        )

    assert sum_by_day(store.daily_counts_of_account(account.alias)) == {
        date(2018, 12, 20): DayCounts(failed=1, missed=1)
    }
    (known,) = [tracked for tracked in store.of_account(account.alias) if tracked.server_policy_id == without_policy]
    assert known == store.load(account.alias, without_policy)
    assert known.identity
    assert store.knows(account.alias)
    assert not store.knows(f"{account.alias}Y")
