"""Servers in the API: their state, their next backup, their last 30 days."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import BackupFinished, BackupStarted, BackupStatus, ServerPolicyChanged
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.monitoring.server_policies import PolicyMessage, TrackedPolicy
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore

from local.stack import Stack
from tests.integration.conftest import Account
from tests.support.api import Client, of_account
from tests.support.policies import LONG_AGO, changed

NOW = datetime.now(UTC)


def ago(**age: float) -> Timestamp:
    return Timestamp.of(NOW - timedelta(**age))


@pytest.fixture
def add(account: Account, stack: Stack) -> Callable[..., str]:
    """Returns a function that stores what the messages say of a server policy, and returns its id."""

    def store(make: Callable[[dict[str, Any]], list[PolicyMessage]], *, missed: bool = False) -> str:
        policy_id = str(uuid.uuid4())
        facts = {
            "account_alias": account.alias,
            "server_id": f"S-{policy_id}",
            "server_policy_id": policy_id,
            "account_policy_id": "ap-1",
            "account_policy_name": "Nightly",
            "storage_region": "US WEST",
        }
        known = TrackedPolicy(account.alias, policy_id)
        for message in make(facts):
            known = known.after(message)
        if missed:
            known = known.after_miss(LONG_AGO)
        policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
        policies.save(known)
        return policy_id

    return store


def policy(facts: dict[str, Any], at: Timestamp, **changes: Any) -> ServerPolicyChanged:
    """Return an interval policy of 24 hours that is active since `at`."""
    fields: dict[str, Any] = {
        "changed_date": at,
        "server_policy_id": facts["server_policy_id"],
        "clc_account_alias": facts["account_alias"],
        "server_id": facts["server_id"],
        "name": facts["account_policy_name"],
        "backup_schedule": None,
        "backup_interval_hours": 24,
    }
    return changed("12-20 00:00", **(fields | changes))


def ended(facts: dict[str, Any], at: Timestamp, status: str) -> BackupFinished:
    return BackupFinished(
        **facts,
        backup_started_date=at,
        backup_finished_date=at,
        restore_point_id=str(uuid.uuid4()),
        restore_point_creation_status=BackupStatus(status),
    )


def only(client: Client, account: Account) -> dict[str, Any]:
    (item,) = client.get(of_account(account.alias, "serverPolicies")).json["items"]
    return dict(item)


@pytest.mark.parametrize(
    ("status", "state"),
    [("SUCCESS", "ok"), ("PARTIAL_SUCCESS", "partial"), ("FAILED", "failed"), ("CANCELLED", "cancelled")],
)
def test_a_servers_state_is_its_last_result(
    account: Account, add: Callable[..., str], client: Client, status: str, state: str
) -> None:
    end = ago(hours=2)
    add(lambda facts: [policy(facts, ago(days=1)), ended(facts, end, status)])

    item = only(client, account)

    assert (item["state"], item["lastStatus"]) == (state, status)
    assert datetime.fromisoformat(item["nextExpectedAt"]) == end + timedelta(hours=24)
    assert datetime.fromisoformat(item["lastFinishedAt"]) == end
    assert len(item["days"]) == 30
    assert item["days"][-1]["day"] == datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize(
    ("started_hours_ago", "missed", "state"), [(24.5, False, "late"), (26, False, "late"), (26, True, "missed")]
)
def test_a_server_that_does_not_start_is_late_until_its_miss_is_reported(
    account: Account, add: Callable[..., str], client: Client, started_hours_ago: float, missed: bool, state: str
) -> None:
    add(
        lambda facts: [
            policy(facts, ago(hours=started_hours_ago + 1)),
            ended(facts, ago(hours=started_hours_ago), "SUCCESS"),
        ],
        missed=missed,
    )

    item = only(client, account)

    assert item["state"] == state
    assert sum(day["missed"] for day in item["days"]) == missed


def test_a_start_ends_a_miss(account: Account, add: Callable[..., str], client: Client, stack: Stack) -> None:
    policy_id = add(
        lambda facts: [policy(facts, ago(hours=27)), ended(facts, ago(hours=26), "SUCCESS")],
        missed=True,
    )
    policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    known = policies.load(account.alias, policy_id)
    assert known.policy
    start = BackupStarted(
        account_alias=account.alias,
        server_id=known.policy.server_id,
        server_policy_id=policy_id,
        account_policy_id="ap-1",
        account_policy_name="Nightly",
        storage_region="US WEST",
        backup_started_date=ago(minutes=1),
    )
    policies.save(known.after(start))

    item = only(client, account)
    assert (item["state"], item["runningSince"]) == ("running", item["lastStartedAt"])


def test_an_inactive_policy_expects_nothing(account: Account, add: Callable[..., str], client: Client) -> None:
    add(lambda facts: [policy(facts, ago(days=3), server_policy_status="INACTIVE")])

    item = only(client, account)

    assert (item["state"], item["nextExpectedAt"]) == ("inactive", None)


def test_a_policy_without_backups_is_unknown_and_shows_its_schedule(
    account: Account, add: Callable[..., str], client: Client
) -> None:
    # The next start is half a day away, as the server would be late at its scheduled start. Tokyo is always UTC+9.
    start = NOW + timedelta(hours=12)
    schedule = f"0 0 {(start.hour + 9) % 24} * * ?"
    add(
        lambda facts: [
            policy(facts, ago(minutes=1), backup_schedule=schedule, backup_interval_hours=None, timezone="Asia/Tokyo")
        ]
    )

    item = only(client, account)

    assert (item["state"], item["backupSchedule"], item["backupIntervalHours"], item["timezone"]) == (
        "unknown",
        schedule,
        None,
        "Asia/Tokyo",
    )
    assert datetime.fromisoformat(item["nextExpectedAt"]).hour == start.hour


def test_a_server_without_a_policy_message_is_shown_by_its_backups(
    account: Account, add: Callable[..., str], client: Client
) -> None:
    add(lambda facts: [ended(facts, ago(minutes=1), "FAILED")])

    item = only(client, account)

    assert (item["state"], item["accountPolicyName"], item["timezone"]) == ("failed", "Nightly", None)


def test_the_days_of_all_servers_add_up(account: Account, add: Callable[..., str], client: Client) -> None:
    add(lambda facts: [ended(facts, ago(days=1), "FAILED"), ended(facts, ago(days=1, seconds=1), "SUCCESS")])
    add(lambda facts: [ended(facts, ago(days=1), "SUCCESS")])

    items = client.get(of_account(account.alias, "dailyResults")).json["items"]

    assert len(items) == 30
    yesterday = (NOW - timedelta(days=1)).date().isoformat()
    (shown,) = [item for item in items if item["day"] == yesterday]
    assert shown == {"day": yesterday, "success": 2, "partialSuccess": 0, "failed": 1, "missed": 0, "unfinished": 0}


def test_servers_come_in_pages_and_are_found_by_a_part_of_their_names(
    account: Account, add: Callable[..., str], client: Client
) -> None:
    ids = {add(lambda facts: [ended(facts, ago(days=1), "SUCCESS")]) for _ in range(5)}
    path = of_account(account.alias, "serverPolicies")

    found, query = set(), {"limit": "2"}
    for _ in range(4):
        page = client.get(path, **query).json
        found |= {item["serverPolicyId"] for item in page["items"]}
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert found == ids
    one = next(iter(ids))
    assert [item["serverPolicyId"] for item in client.get(path, server=one[2:].upper()).json["items"]] == [one]
    assert client.get(path, server="T").json == {"items": [], "next": None, "byBeginning": False}
    assert list(client.get(path, cursor="nonsense").errors) == ["cursor"]


def test_pages_go_on_behind_names_in_any_script(account: Account, add: Callable[..., str], client: Client) -> None:
    names = ["A\u00a0x", "A\u3000y", "\U0001f5c4" * 200]
    for name in names:
        add(lambda facts, name=name: [ended(facts | {"server_id": name}, ago(days=1), "SUCCESS")])

    found, query = [], {"limit": "1"}
    for _ in range(4):
        page = client.get(of_account(account.alias, "serverPolicies"), **query).json
        found += [item["serverId"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert sorted(found) == sorted(names)


def test_what_needs_attention_is_one_list_the_longest_trouble_first(
    account: Account, add: Callable[..., str], client: Client
) -> None:
    add(lambda facts: [ended(facts, ago(days=3), "SUCCESS")])
    younger = add(lambda facts: [ended(facts, ago(days=1), "PARTIAL_SUCCESS")])
    older = add(lambda facts: [ended(facts, ago(days=2), "FAILED"), ended(facts, ago(hours=1), "FAILED")])
    path = of_account(account.alias, "troubledServerPolicies")

    first = client.get(path, limit="1").json
    rest = client.get(path, cursor=first["next"]).json

    assert [item["serverPolicyId"] for item in first["items"] + rest["items"]] == [older, younger]
    assert first["items"][0]["troubledSince"] == iso_milliseconds(ago(days=2))
    assert rest["next"] is None
    assert list(client.get(path, cursor="nonsense").errors) == ["cursor"]


def test_a_person_stops_watching_a_server_and_watches_it_again(
    account: Account, add: Callable[..., str], client: Client, stack: Stack
) -> None:
    policy_id = add(lambda facts: [policy(facts, ago(hours=30)), ended(facts, ago(hours=24.5), "SUCCESS")])
    path = of_account(account.alias, "serverPolicies", policy_id)
    assert only(client, account)["state"] == "late"

    stopped = client.patch(path, {"watched": False}).json

    assert (stopped["watched"], stopped["state"], stopped["nextExpectedAt"]) == (False, "unwatched", None)
    assert only(client, account) == stopped
    again = client.patch(path, {"watched": True}).json
    assert (again["watched"], again["state"]) == (True, "ok")
    # The schedule counts from now: what passed meanwhile is not missed.
    assert datetime.fromisoformat(again["nextExpectedAt"]) >= NOW + timedelta(hours=24)
    assert client.patch(path, {"watched": True}).json == again


def test_what_is_not_a_server_policy_cannot_be_watched(account: Account, client: Client) -> None:
    answer = client.patch(of_account(account.alias, "serverPolicies", "unknown"), {"watched": False})
    assert answer.status == 404
    assert list(client.patch(of_account(account.alias, "serverPolicies", "unknown"), {"watched": "x"}).errors)
    assert client.get(of_account(account.alias, "serverPolicies")).json["items"] == []
