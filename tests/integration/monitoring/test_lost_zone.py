"""A stored time zone that tzdata has dropped since: its policy alone says so, and the next message mends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.monitoring.watermark import SeenHeartbeat, Watermark
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.reports.aggregate import KnownServer
from backup_webhooks.reports.phrases import upcoming
from msgspec.structs import replace

from local.stack import Stack
from tests.integration.conftest import Account, Handler
from tests.support.api import Client, of_account
from tests.support.messages import Context
from tests.support.policies import LONG_AGO, at, changed, finished, no_policies, record
from tests.support.queue import queued
from tests.support.reports import report, server

PROBLEM = "the time zone Europe/Atlantis is no longer known"


@pytest.fixture
def policies(stack: Stack, account: Account) -> ServerPoliciesStore:
    """Two policies with a start that is due; the zone of the policy `lost` is gone."""
    client, table = stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"]
    no_policies(stack)
    queued(stack)
    seen = SeenHeartbeat(at("12-20 18:05"), at("12-20 18:06"))
    WatermarkStore(client, table).save_tick(Watermark(seen=(seen,), ran_at=at("12-20 18:12"), resumed_at=LONG_AGO))
    store = ServerPoliciesStore(client, table)
    for policy_id in ("lost", "sound"):
        record(store, changed("12-20 09:00", server_policy_id=policy_id, clc_account_alias=account.alias))
    lost = store.load(account.alias, "lost")
    assert lost.policy
    store.save(replace(lost, policy=replace(lost.policy, timezone="Europe/Atlantis")))
    return store


def missed(stack: Stack) -> list[str]:
    return sorted(body["serverPolicyId"] for body in queued(stack) if body["type"] == "BackupMissed")


def test_its_last_miss_is_reported_once_and_the_other_policies_as_ever(
    stack: Stack, policies: ServerPoliciesStore, handler_of: Callable[..., Handler], account: Account
) -> None:
    tick = handler_of("missed_backups")

    tick({"time": "2018-12-20T18:13:00Z"}, Context())
    assert missed(stack) == ["lost", "sound"]
    tick({"time": "2018-12-20T18:14:00Z"}, Context())
    assert missed(stack) == []

    assert policies.load(account.alias, "lost").expected_at is None
    assert policies.load(account.alias, "sound").expected_at == at("12-21 17:00")


def test_the_page_shows_all_policies_and_what_is_wrong_with_this_one(
    policies: ServerPoliciesStore, client: Client, account: Account
) -> None:
    items = client.get(of_account(account.alias, "serverPolicies")).json["items"]
    assert {item["serverPolicyId"]: item["scheduleProblem"] for item in items} == {"lost": PROBLEM, "sound": None}
    assert {item["serverPolicyId"]: item["nextExpectedAt"] is None for item in items} == {"lost": True, "sound": False}
    assert client.get(of_account(account.alias, "dailyResults")).status == 200
    assert client.get(of_account(account.alias, "troubledServerPolicies")).status == 200


def test_results_are_recorded_and_the_next_message_with_a_zone_mends_it(
    policies: ServerPoliciesStore, account: Account
) -> None:
    failed = finished("12-20 17:00", "12-20 17:30", "FAILED", server_policy_id="lost", account_alias=account.alias)
    record(policies, failed)
    lost = policies.load(account.alias, "lost")
    assert (lost.history.last_status, lost.expected_at) == ("FAILED", None)
    assert lost.troubled_since == at("12-20 17:30")

    mended = changed("12-21 09:00", server_policy_id="lost", clc_account_alias=account.alias, timezone="Europe/Berlin")
    record(policies, mended)
    assert policies.load(account.alias, "lost").expected_at == at("12-21 16:00")


def test_the_report_says_why_nothing_is_expected(policies: ServerPoliciesStore, account: Account) -> None:
    known = KnownServer.of(policies.load(account.alias, "lost"), datetime(2018, 12, 20, 16, tzinfo=UTC))

    assert (known.state, known.active, known.schedule_problem) == (ServerState.UNWATCHED, True, PROBLEM)
    line = server(schedule_problem=known.schedule_problem, next_expected_at=None)
    assert upcoming(report(), line) == f"none is expected: {PROBLEM}"
