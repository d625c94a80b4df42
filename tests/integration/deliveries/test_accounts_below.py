"""Recursive targets: events of the accounts below are posted to an account's target, and nothing leads back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences
from standardwebhooks import Webhook

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke, new_account
from tests.support.api import Client, of_account
from tests.support.fault_proxy import FaultProxy
from tests.support.messages import failed_ids, finished
from tests.world.aws import Aws
from tests.world.world import World

FAILURE, SUCCESS = EventType.FAILURE, EventType.SUCCESS
HOUR = timedelta(hours=1)


def placed(account: Account, parent: Account | None, changed_date: str = "2018-12-01T00:00:00Z") -> str:
    """Return the message that the account is below the parent since then."""
    return json.dumps(
        {
            "type": "AccountChanged",
            "accountAlias": account.alias,
            "parentAlias": parent and parent.alias,
            "changedDate": changed_date,
        }
    )


@pytest.fixture
def family(stack: Stack, notifier: Invoke) -> Callable[[int], Sequence[Account]]:
    """Makes a chain of accounts, each below the one before it."""

    def make(number: int) -> Sequence[Account]:
        accounts = [new_account(stack) for _ in range(number)]
        for above, below in pairwise(accounts):
            assert failed_ids(notifier(placed(below, above))) == []
        return accounts

    return make


@pytest.fixture
def renewed(handler_at: Callable[..., Invoke]) -> Callable[[], Invoke]:
    """Makes the notifier in a new execution environment, which has no cached targets."""
    return lambda: handler_at("notifier")


@pytest.fixture
def world(world_aws: Aws, receiver: Receiver) -> World:
    return World(world_aws, receiver)


def paths(receiver: Receiver) -> list[str]:
    return sorted(post.path for post in receiver.posts)


def test_only_a_recursive_target_gets_the_events_of_the_accounts_below(
    family: Callable[[int], Sequence[Account]], renewed: Callable[[], Invoke], receiver: Receiver
) -> None:
    top, middle, bottom = family(3)
    wanted = top.set_target(FAILURE, f"{receiver.url}/top", recursive=True)
    top.set_target(FAILURE, f"{receiver.url}/top-alone")
    top.set_target(SUCCESS, f"{receiver.url}/top-success", recursive=True)
    middle.set_target(FAILURE, f"{receiver.url}/middle", recursive=True, enabled=False)
    bottom.set_target(FAILURE, f"{receiver.url}/bottom")
    notifier = renewed()

    assert failed_ids(notifier(finished(bottom.alias), finished(top.alias))) == []

    assert paths(receiver) == ["/bottom", "/top", "/top", "/top-alone"]
    of_top = [post for post in receiver.posts if post.path == "/top"]
    assert {json.loads(post.body)["text"].split("  -  ")[1] for post in of_top} == {
        f"Account: {bottom.alias}",
        f"Account: {top.alias}",
    }
    for post in of_top:
        Webhook(wanted.secrets[0].value).verify(post.body.decode(), dict(post.headers))


def test_deliveries_and_their_log_are_those_of_the_account_above(
    family: Callable[[int], Sequence[Account]],
    renewed: Callable[[], Invoke],
    client_of: Callable[..., Client],
    receiver: Receiver,
) -> None:
    parent, child = family(2)
    parent.set_target(FAILURE, f"{receiver.url}/PARENTS-SECRET", recursive=True, headers={"x": "PARENTS-SECRET"})
    renewed()(finished(child.alias, backupFinishedDate=f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z"))
    assert len(receiver.posts) == 1

    own, others = client_of(parent.alias), client_of(child.alias)
    (entry,) = own.get(of_account(parent.alias, "deliveries")).json["items"]
    assert entry["state"] == "delivered"
    for steps in ((), ("targets",), ("deliveries",), (FAILURE,), (FAILURE, "configuration")):
        answer = others.get(of_account(child.alias, *steps))
        assert answer.status == 200
        assert "PARENTS-SECRET" not in answer.text
        assert parent.alias not in answer.text
        # Neither account's people reach the other's.
        assert others.get(of_account(parent.alias, *steps)).status == 403
        assert own.get(of_account(child.alias, *steps)).status == 403
    target_id, delivery_id = parent.target().target_id, entry["deliveryId"]
    for method, steps in (
        ("GET", ("targets", target_id)),
        ("PATCH", ("targets", target_id)),
        ("DELETE", ("targets", target_id)),
        ("POST", ("targets", target_id, "test")),
        ("GET", ("deliveries", delivery_id)),
        ("POST", ("deliveries", delivery_id, "replay")),
    ):
        body = {"enabled": False} if method == "PATCH" else None
        assert others.request(method, of_account(child.alias, *steps), body).status == 404, (method, steps)
    assert parent.target().enabled


def test_events_of_two_accounts_with_the_same_ids_are_both_posted(
    stack: Stack, notifier: Invoke, renewed: Callable[[], Invoke], receiver: Receiver
) -> None:
    parent, one, other = (new_account(stack) for _ in range(3))
    parent.set_target(FAILURE, receiver.url, recursive=True)
    notifier(placed(one, parent), placed(other, parent))

    same = {"restorePointId": "rp-1", "serverPolicyId": "sp-1"}
    renewed()(*(finished(account.alias, **same) for account in (parent, one, other, one)))

    assert len({post.headers["webhook-id"] for post in receiver.posts}) == len(receiver.posts) == 3
    assert len(parent.deliveries()) == 3


def test_reminders_are_of_each_accounts_own_policy(
    family: Callable[[int], Sequence[Account]], world: World, receiver: Receiver
) -> None:
    parent, child = family(2)
    parent.set_target(FAILURE, receiver.url, recursive=True, preferences=Preferences(changes_only=True, remind_hours=1))

    def ended(account: Account, status: str) -> str:
        return finished(
            account.alias,
            serverPolicyId="sp-1",
            restorePointId=f"{status}-{world.now:%d-%H}",
            restorePointCreationStatus=status,
            backupStartedDate=f"{world.now - HOUR:%Y-%m-%dT%H:%M:%SZ}",
            backupFinishedDate=f"{world.now:%Y-%m-%dT%H:%M:%SZ}",
        )

    world.send(ended(parent, "FAILED"))
    world.send(ended(child, "FAILED"))
    world.run(world.now + 1.25 * HOUR)
    assert len(receiver.posts) == 4
    world.send(ended(parent, "SUCCESS"))
    world.run(world.now + HOUR)

    accounts = [json.loads(post.body)["text"].split("  -  ")[1] for post in receiver.posts]
    assert (accounts.count(f"Account: {parent.alias}"), accounts.count(f"Account: {child.alias}")) == (2, 3)
    # Where its target is not recursive any more, no reminder comes.
    parent.targets.change(parent.alias, lambda seen: [replace(one, recursive=False) for one in seen.targets])
    world.run(world.now + 3 * HOUR)
    assert len(receiver.posts) == 5


def test_the_latest_change_of_an_account_counts_in_whatever_order_they_come(
    stack: Stack, notifier: Invoke, renewed: Callable[[], Invoke], receiver: Receiver
) -> None:
    first, second, child = (new_account(stack) for _ in range(3))
    for account in (first, second):
        account.set_target(FAILURE, f"{receiver.url}/{account.alias}", recursive=True)

    notifier(placed(child, second, "2018-12-02T00:00:00Z"))
    notifier(placed(child, first, "2018-12-01T00:00:00Z"))
    renewed()(finished(child.alias, restorePointId="rp-1"))
    assert paths(receiver) == [f"/{second.alias}"]

    notifier(placed(child, None, "2018-12-03T00:00:00Z"))
    renewed()(finished(child.alias, restorePointId="rp-2"))
    assert len(receiver.posts) == 1


def test_five_accounts_above_get_the_event_and_a_circle_has_an_end(
    family: Callable[[int], Sequence[Account]], notifier: Invoke, renewed: Callable[[], Invoke], receiver: Receiver
) -> None:
    accounts = family(7)
    for depth, account in enumerate(accounts):
        account.set_target(FAILURE, f"{receiver.url}/{depth}", recursive=True)
    renewed()(finished(accounts[-1].alias, restorePointId="rp-1"))
    assert paths(receiver) == [f"/{depth}" for depth in range(1, 7)]

    receiver.posts.clear()
    notifier(placed(accounts[5], accounts[6], "2018-12-02T00:00:00Z"))
    assert failed_ids(renewed()(finished(accounts[6].alias, restorePointId="rp-2"))) == []
    assert paths(receiver) == ["/5", "/6"]


def test_an_event_is_posted_to_25_targets_its_own_first(
    family: Callable[[int], Sequence[Account]],
    renewed: Callable[[], Invoke],
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    parent, child = family(2)
    for number in range(15):
        parent.set_target(FAILURE, f"{receiver.url}/parent/{number}", recursive=True)
        child.set_target(FAILURE, f"{receiver.url}/child/{number}")

    renewed()(finished(child.alias))

    assert sum("/child/" in path for path in paths(receiver)) == 15
    assert sum("/parent/" in path for path in paths(receiver)) == 10
    assert "more targets than an event is posted to" in caplog.text


def test_what_has_to_wait_for_its_turn_is_deferred(world: World, account: Account, receiver: Receiver) -> None:
    """Here targets are called one after another, each for 3 s."""
    for number in range(25):
        account.set_target(FAILURE, f"{receiver.url}/{number}")

    def answer_slowly(path: str) -> int:
        world.now += timedelta(seconds=3)
        return 200

    world.answer = answer_slowly
    world.send(finished(account.alias))
    world.run(world.now + timedelta(seconds=30))
    first = len(receiver.posts)
    world.run(world.now + HOUR)

    assert first < 25
    assert paths(receiver) == sorted(f"/{number}" for number in range(25))
    assert {entry["state"] for entry in account.deliveries()} == {"delivered"}


@pytest.mark.parametrize("parent", ["", 7, "x" * 65])
def test_a_message_that_cannot_be_used_fails_alone(account: Account, notifier: Invoke, parent: object) -> None:
    wrong = json.dumps(json.loads(placed(account, None)) | {"parentAlias": parent})

    assert len(failed_ids(notifier(wrong, placed(account, None)))) == 1


def test_a_place_that_could_not_be_recorded_comes_again(
    account: Account, dynamodb_proxy: FaultProxy, notifier_at: Callable[[str], Invoke]
) -> None:
    dynamodb_proxy.behaviour = lambda call: (
        (400, b'{"__type": "ThrottlingException"}') if call.operation == "UpdateItem" else call.forward()
    )

    assert len(failed_ids(notifier_at(dynamodb_proxy.url)(placed(account, account)))) == 1
