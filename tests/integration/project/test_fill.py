"""`python -m local fill`: a large account in the API, the report and missed_backups."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType, RecordedEvent
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.monitoring.items import SHARDS
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local.commands import main
from local.fill import fill
from local.filled_servers import filled_server
from local.stack import Stack, published
from tests.integration.conftest import Account, new_account
from tests.support.api import Client, of_account

SERVERS = 120
COUNTS = ("success", "partialSuccess", "failed", "missed")


@pytest.fixture(scope="module")
def account(stack: Stack) -> Account:
    account = new_account(stack)
    account.set_target(EventType.SUCCESS, "https://example.com/success")
    return account


@pytest.fixture(scope="module")
def now(account: Account, stack: Stack) -> datetime:
    """Fill the account, and return the time up to which its servers have backups."""
    now = utc_now()
    fill(stack, account.alias, SERVERS, now)
    return now


def all_servers(client: Client, account: Account) -> list[dict[str, Any]]:
    servers: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 90}
    while True:
        page = client.get(of_account(account.alias, "serverPolicies"), **query).json
        servers += page["items"]
        if page["next"] is None:
            return servers
        query["cursor"] = page["next"]


def totals(days: list[dict[str, Any]]) -> Counter[str]:
    return Counter({name: sum(day[name] for day in days) for name in COUNTS})


def test_the_page_has_each_server_with_its_month(client: Client, account: Account, now: datetime) -> None:
    servers = all_servers(client, account)

    names = [server["serverId"] for server in servers]
    assert names == sorted(set(names))
    assert len(names) == SERVERS
    assert {"ok", "inactive"} <= {server["state"] for server in servers}
    assert {bool(server["backupSchedule"]) for server in servers} == {True, False}
    assert all(sum(totals(server["days"]).values()) > 15 for server in servers)

    chart = client.get(of_account(account.alias, "dailyResults")).json["items"]
    month = totals(chart)
    assert month == sum((totals(server["days"]) for server in servers), Counter())
    assert all(0 < month[trouble] < month["success"] / 10 for trouble in COUNTS[1:])
    # Fewer backups run at the weekend, and today is not over.
    assert all(totals([day]).total() > SERVERS * 0.8 for day in chart[:-2])


def test_a_search_finds_the_servers_of_a_data_centre(client: Client, account: Account, now: datetime) -> None:
    prefix = f"GB3{account.alias}"
    found = client.get(of_account(account.alias, "serverPolicies"), server=prefix.lower(), limit=100).json

    assert found["next"] is None
    assert len(found["items"]) == SERVERS // 4
    assert all(server["serverId"].startswith(prefix) for server in found["items"])


def test_filling_again_changes_nothing(
    client: Client, account: Account, stack: Stack, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    def known() -> list[Any]:
        deliveries = client.get(of_account(account.alias, "deliveries")).json["items"]
        backups = stack.client("dynamodb").scan(TableName=stack.outputs["BackupsTableName"], Select="COUNT")["Count"]
        return [all_servers(client, account), deliveries, backups]

    before = known()
    assert fill(stack, account.alias, SERVERS, now) == 0

    assert f"{SERVERS} of {SERVERS} servers" in capsys.readouterr().out
    assert before[1]
    assert known() == before


def test_backups_stay_the_same_as_time_passes() -> None:
    """The backups of an interval must not move with the first, though each counts from the end of the one before."""
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def backups(number: int, known_at: datetime) -> list[RecordedEvent]:
        _, events = filled_server("TEST", number, known_at)
        # A miss is known two hours later at the latest.
        return [event for event in events if now - timedelta(days=5) < event.occurred_at < now - timedelta(hours=2)]

    for number in range(1, 40):
        assert backups(number, now) == backups(number, now + timedelta(days=2))


def test_missed_backups_finds_none_at_once_and_all_when_their_time_comes(
    account: Account, stack: Stack, now: datetime
) -> None:
    store = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])

    def due(as_of: datetime) -> int:
        pages = [page for shard in range(SHARDS) for page in store.due(shard, as_of)]
        return sum(policy.account == account.alias for page in pages for policy in page)

    active = sum(policy.schedule is not None for policy in store.of_account(account.alias))
    assert due(now) == 0
    assert due(now + timedelta(days=5)) == active > SERVERS * 0.9


def test_the_report_lists_all_servers(
    account: Account, stack: Stack, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The file of a stack that runs beside the tests is not used.
    monkeypatch.setattr("local.stack.STACK_FILE", tmp_path / "stack.json")
    with published(stack):
        assert main(["report", account.alias, "--no-open", "--folder", str(tmp_path)]) == 0

    text = (tmp_path / "report.txt").read_text()
    assert text.count(account.alias) >= SERVERS
