"""ServerPoliciesTable as the page reads it: by account, in pages, with daily counts."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
from backup_webhooks.aws.paging import InvalidCursor, to_cursor
from backup_webhooks.monitoring.daily_counts import DayCounts, sum_by_day
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.policies import LONG_AGO, changed, finished, record


@pytest.fixture
def store(stack: Stack) -> ServerPoliciesStore:
    return ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])


def add_servers(store: ServerPoliciesStore, account: str, *servers: str) -> None:
    for server in servers:
        policy_id = str(uuid.uuid4())
        message = changed("12-20 16:00", server_policy_id=policy_id, clc_account_alias=account, server_id=server)
        store.save(store.load(policy_id).after(message))


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


def test_servers_are_found_by_how_their_names_begin(store: ServerPoliciesStore, account: Account) -> None:
    add_servers(store, account.alias, "WEB1", "WEB2", "DB1")

    page = store.page(account.alias, server_prefix="WEB")

    assert [tracked.policy.server_id for tracked in page.items if tracked.policy] == ["WEB1", "WEB2"]


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

    assert all(tracked.policy and tracked.policy.account == account.alias for tracked in page.items)


def test_results_and_misses_are_kept_by_day_and_add_up_for_the_account(
    store: ServerPoliciesStore, account: Account
) -> None:
    """One server has a policy message, and of the other only its backups are known."""
    with_policy, without_policy = str(uuid.uuid4()), str(uuid.uuid4())
    record(store, changed("12-20 16:00", server_policy_id=with_policy, clc_account_alias=account.alias))
    store.save(store.load(with_policy).after_miss(LONG_AGO))
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
    assert known == store.load(without_policy)
    assert known.identity
    assert store.knows(account.alias)
    assert not store.knows(f"{account.alias}Y")
