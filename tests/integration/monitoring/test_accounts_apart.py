"""A message belongs to its account: with another account's ids it neither reads nor changes anything of that one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backup_webhooks.events import messages
from backup_webhooks.events.messages import BackupStatus, EventType, encode_message
from backup_webhooks.targets.preferences import Preferences
from msgspec.structs import replace

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke, new_account
from tests.support.api import Client, of_account
from tests.support.policies import at, changed, finished, started
from tests.support.queue import queued

POLICY = str(uuid.uuid4())
A_NAMES = {"server_id": "A-SERVER", "storage_region": "A-REGION"}
B_NAMES = {"server_id": "B-SERVER", "storage_region": "B-REGION"}


def policy_messages(account: str, names: dict[str, str], name: str) -> dict[str, list[messages.Message]]:
    """Return the account's messages of each type about the policy, by type."""
    own: dict[str, Any] = names | {"server_policy_id": POLICY}
    named = {"account_alias": account, "account_policy_name": name}
    backup: dict[str, Any] = own | named
    miss = messages.BackupMissed(
        **backup, account_policy_id=f"{name}-id", expected_date=at("12-23 17:00"), missing_since_date=at("12-22 17:00")
    )
    recovered = messages.BackupRecovered(
        **backup,
        account_policy_id=f"{name}-id",
        restore_point_id=f"{name}-point",
        backup_finished_date=at("12-24 18:00"),
        failing_since_date=at("12-20 18:00"),
        failed=1,
    )
    unfinished = messages.BackupUnfinished(
        **backup,
        account_policy_id=f"{name}-id",
        backup_started_date=at("12-22 17:00"),
        run_limit_date=at("12-23 17:00"),
        unfinished_since_date=at("12-23 17:00"),
    )
    stale = messages.BackupStale(
        **backup, account_policy_id=f"{name}-id", since_date=at("12-20 18:00"), age_limit_date=at("12-23 18:00")
    )
    policy = {"clc_account_alias": account, "name": name}
    return {
        "BackupStarted": [started("12-21 17:00", **backup)],
        "BackupFinished": [
            replace(
                finished("12-21 17:00", "12-21 18:00", status, **own), account_alias=account, account_policy_name=name
            )
            for status in BackupStatus
        ],
        "BackupMissed": [miss],
        "BackupUnfinished": [unfinished],
        "BackupStale": [stale],
        "BackupRecovered": [recovered],
        "ServerPolicyChanged": [
            changed("12-22 00:00", **own, **policy, backup_schedule="0 0 3 * * ?"),
            changed("12-23 00:00", **own, **policy, server_policy_status="INACTIVE"),
        ],
        "AccountChanged": [
            messages.AccountChanged(account_alias=account, parent_alias="ABOVE", changed_date=at("12-22 00:00"))
        ],
        "Heartbeat": [],
    }


@pytest.fixture
def a(stack: Stack, notifier: Invoke, receiver: Receiver) -> Iterator[Account]:
    """Account A: a policy whose backups have failed, with targets that suppress, group and remind."""
    account = new_account(stack)
    for event in EventType:
        lasts = event in (EventType.FAILURE, EventType.MISSING)
        wanted = Preferences(changes_only=True, remind_hours=4 if lasts else None)
        account.set_target(event, f"{receiver.url}/a", preferences=wanted)
    of_a = policy_messages(account.alias, A_NAMES, "A-POLICY")
    policy = changed(
        "12-18 09:00", **A_NAMES, server_policy_id=POLICY, clc_account_alias=account.alias, name="A-POLICY"
    )
    failed = [message for message in of_a["BackupFinished"] if message.event_type is EventType.FAILURE]  # type: ignore[union-attr]
    notifier(*map(encode_message, [policy, *of_a["BackupStarted"], *failed, *of_a["BackupMissed"]]))
    yield account
    queued(stack)


def everything(account: Account) -> list[str]:
    """Return all items that name the account, as text."""
    stack = account.stack
    tables = [name for output, name in stack.outputs.items() if output.endswith("TableName")]
    pages = stack.client("dynamodb").get_paginator("scan")
    items = [item for table in tables for page in pages.paginate(TableName=table) for item in page["Items"]]
    return sorted(text for item in items if account.alias in (text := json.dumps(item, sort_keys=True)))


@pytest.mark.parametrize("kind", [kind.__struct_config__.tag for kind in messages._MESSAGES])
def test_messages_of_another_account_with_the_same_ids_change_nothing_and_learn_nothing(
    a: Account, account: Account, notifier: Invoke, receiver: Receiver, stack: Stack, kind: str
) -> None:
    for event in EventType:
        account.set_target(event, f"{receiver.url}/b", format="detailed")
    before = everything(a)
    assert len(before) > 8
    posted_to_a = [post.path for post in receiver.posts].count("/a")

    assert notifier(*map(encode_message, policy_messages(account.alias, B_NAMES, "B-POLICY")[kind])) == {
        "batchItemFailures": []
    }
    # What the messages led to, such as a recovery, is posted too.
    assert notifier(*map(json.dumps, queued(stack))) == {"batchItemFailures": []}

    assert everything(a) == before
    # No recovery: the failures before B's success are A's.
    bodies = [str(post.body) for post in receiver.posts if post.path == "/b"]
    found = dict.fromkeys(("BackupMissed", "BackupUnfinished", "BackupStale", "BackupRecovered"), 1)
    assert len(bodies) == ({"BackupFinished": 3} | found).get(kind, 0)
    assert not [body for body in bodies if a.alias in body or "A-" in body]
    assert [post.path for post in receiver.posts].count("/a") == posted_to_a


def test_each_account_sees_its_own_policy_of_that_id(
    a: Account, account: Account, notifier: Invoke, client_of: Callable[..., Client]
) -> None:
    of_b = policy_messages(account.alias, B_NAMES, "B-POLICY")
    notifier(*map(encode_message, [*of_b["BackupStarted"], *of_b["ServerPolicyChanged"]]))

    for one, name, status in ((a, "A-SERVER", "FAILED"), (account, "B-SERVER", None)):
        (item,) = client_of(one.alias).get(of_account(one.alias, "serverPolicies")).json["items"]
        assert (item["serverId"], item["lastStatus"]) == (name, status)
