"""TargetsStore: customers change the targets of an account as a whole, and no change undoes another's."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from backup_webhooks.aws.errors import Changed, Conflict
from backup_webhooks.events.errors import InvalidTarget
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.store import AccountTargets, TargetsStore, version_of
from backup_webhooks.targets.target import DeliveryMode, Target

from local.stack import Stack
from local.targets import save_target
from tests.integration.conftest import Account, new_account
from tests.support.fault_proxy import Answer, Call, FaultProxy, internal_server_error

FAILURE = EventType.FAILURE


def url(number: int) -> str:
    return f"https://hooks.example/{number}"


@pytest.fixture
def store(account: Account) -> TargetsStore:
    return account.targets


@pytest.fixture
def proxied(stack: Stack, dynamodb_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> TargetsStore:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        return TargetsStore(stack.client("dynamodb"), stack.outputs["WebhooksTableName"])


def at_version(expected: str, *wanted: Target) -> Callable[[AccountTargets], Sequence[Target]]:
    """Returns an edit that holds only for the version that was seen, as the routes' do."""

    def edit(seen: AccountTargets) -> Sequence[Target]:
        if version_of(seen.targets) != expected:
            raise Changed
        return wanted

    return edit


def test_a_change_replaces_all_targets_of_its_account_and_of_no_other(
    stack: Stack, account: Account, store: TargetsStore
) -> None:
    gone, stays = account.set_target(FAILURE, url(1)), account.set_target(FAILURE, url(2))
    other = new_account(stack)
    other.set_target(FAILURE, url(1))
    new = Target(account.alias, [FAILURE], url(3), format="detailed", delivery=DeliveryMode.RETRY, headers={"x-a": "b"})

    store.change(account.alias, lambda _: [stays, new])

    stored = store.load(account.alias)
    assert {target.url for target in stored.targets} == {stays.url, new.url}
    assert stored.find(gone.target_id) is None
    found = stored.find(new.target_id)
    assert found
    assert (found.format, found.delivery, found.headers) == ("detailed", DeliveryMode.RETRY, {"x-a": "b"})
    assert [target.url for target in store.load(other.alias).targets] == [url(1)]


def test_a_change_to_an_older_version_is_refused(account: Account, store: TargetsStore) -> None:
    seen = version_of(store.load(account.alias).targets)
    others = account.set_target(FAILURE, url(1))

    with pytest.raises(Changed):
        store.change(account.alias, at_version(seen))

    current = store.load(account.alias).targets
    assert [target.url for target in current] == [others.url]
    store.change(account.alias, at_version(version_of(current)))
    assert store.load(account.alias).targets == []


def test_two_changes_at_once_are_both_made(account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore) -> None:
    def add_in_between(call: Call) -> Answer:
        if call.operation == "TransactWriteItems" and len(dynamodb_proxy.calls) < 3:
            account.set_target(FAILURE, url(1))
        return call.forward()

    dynamodb_proxy.behaviour = add_in_between
    save_target(proxied, Target(account.alias, [FAILURE], url(2)))

    assert {target.url for target in account.targets.load(account.alias).targets} == {url(1), url(2)}


def test_one_of_two_changes_at_once_to_the_same_version_is_refused(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    def add_in_between(call: Call) -> Answer:
        if call.operation == "TransactWriteItems":
            account.set_target(FAILURE, url(1))
        return call.forward()

    dynamodb_proxy.behaviour = add_in_between
    with pytest.raises(Changed):
        proxied.change(account.alias, at_version(version_of([]), Target(account.alias, [FAILURE], url(2))))

    assert [target.url for target in account.targets.load(account.alias).targets] == [url(1)]


def test_a_change_does_not_switch_on_a_target_that_is_switched_off_at_the_same_time(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    """The customer changes the format of a target that was still on when they read it."""
    target = account.set_target(FAILURE, url(1))
    failing = account.targets.record_failure(target, 410, "answered 410", slow=False, now=datetime.now(UTC))
    assert failing
    switched_off = []

    def switch_off_in_between(call: Call) -> Answer:
        if call.operation == "TransactWriteItems" and not switched_off:
            switched_off.append(account.targets.switch_off(failing, "answered 410 Gone", datetime.now(UTC)))
        return call.forward()

    dynamodb_proxy.behaviour = switch_off_in_between
    proxied.change(
        account.alias,
        lambda seen: [dataclasses.replace(target, format="detailed") for target in seen.targets],
    )

    assert switched_off[0]
    stored = account.target()
    assert (stored.format, stored.enabled) == ("detailed", False)
    assert stored.health.switched_off_reason == "answered 410 Gone"


def test_a_change_to_the_version_before_a_target_was_switched_off_is_refused(
    account: Account, store: TargetsStore
) -> None:
    target = account.set_target(FAILURE, url(1))
    seen = version_of(store.load(account.alias).targets)
    failing = account.targets.record_failure(target, 410, "answered 410", slow=False, now=datetime.now(UTC))
    assert failing
    account.targets.switch_off(failing, "answered 410 Gone", datetime.now(UTC))

    with pytest.raises(Changed):
        store.change(account.alias, at_version(seen, target))

    assert not account.target().enabled


def test_a_change_that_fails_changes_nothing(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    account.set_target(FAILURE, url(1))
    dynamodb_proxy.behaviour = lambda call: (
        internal_server_error() if call.operation == "TransactWriteItems" else call.forward()
    )

    with pytest.raises(proxied.client.exceptions.InternalServerError):
        proxied.change(account.alias, lambda _: [Target(account.alias, [FAILURE], url(2))])

    assert account.target().url == url(1)


def test_25_targets_an_account_are_allowed_whatever_their_events_and_a_26th_is_not(
    account: Account, store: TargetsStore
) -> None:
    many = [Target(account.alias, [FAILURE], url(number)) for number in range(20)]
    many += [Target(account.alias, [EventType.SUCCESS, EventType.MISSING], url(number)) for number in range(5)]
    assert len(store.change(account.alias, lambda _: many).targets) == 25

    with pytest.raises(InvalidTarget, match="targets: at most 25"):
        save_target(store, Target(account.alias, [EventType.SUCCESS], url(20)))


@pytest.mark.parametrize(
    "spelling", ["https://hooks.example/1", "HTTPS://Hooks.Example:443/1", "https://hooks.example/a/../1#top"]
)
def test_the_same_url_twice_for_an_event_is_refused_in_any_spelling(
    account: Account, store: TargetsStore, spelling: str
) -> None:
    first = Target(account.alias, [FAILURE, EventType.SUCCESS], url(1))
    second = Target(account.alias, [EventType.SUCCESS, EventType.MISSING], spelling)

    with pytest.raises(InvalidTarget, match="targetUri: the account has another target with this URL"):
        store.change(account.alias, lambda _: [first, second])

    third = Target(account.alias, [EventType.MISSING], spelling)
    stored = store.change(account.alias, lambda _: [first, third])
    assert {target.url for target in stored.targets} == {url(1)}


def test_a_target_with_another_url_begins_without_failures_and_keeps_its_secret(
    account: Account, store: TargetsStore
) -> None:
    target = account.set_target(FAILURE, url(1))
    assert store.record_failure(target, 500, "answered 500", slow=True, now=datetime.now(UTC))

    store.change(account.alias, lambda seen: [dataclasses.replace(one, url=url(2)) for one in seen.targets])

    assert account.target().health == Target("", [], "").health
    assert account.target().secrets == target.secrets


def test_the_answer_holds_this_change_and_not_one_that_came_right_after(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    """Its version, sent with the next change, must not stand for a state that this caller has not seen."""

    def add_right_after(call: Call) -> Answer:
        answer = call.forward()
        if call.operation == "TransactWriteItems":
            account.set_target(FAILURE, url(2))
        return answer

    dynamodb_proxy.behaviour = add_right_after
    written = proxied.change(account.alias, lambda seen: seen.having(Target(account.alias, [FAILURE], url(1))))
    dynamodb_proxy.behaviour = lambda call: call.forward()

    assert [target.url for target in written.targets] == [url(1)]
    with pytest.raises(Changed):
        proxied.change(account.alias, at_version(version_of(written.targets)))


def test_the_answer_is_what_is_stored(account: Account, store: TargetsStore) -> None:
    account.set_target(FAILURE, url(1), enabled=False)
    account.set_target(FAILURE, url(2), headers={"x-a": "b"})
    new = Target(account.alias, [FAILURE], url(3))

    written = store.change(
        account.alias,
        lambda seen: [*(dataclasses.replace(target, enabled=True) for target in seen.targets), new],
    )

    assert written == store.load(account.alias)


def test_a_change_that_is_throttled_is_no_conflict(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    reasons = [{"Code": "ThrottlingError"}, {"Code": "None"}]
    cancelled = {"__type": "TransactionCanceledException", "Message": "…", "CancellationReasons": reasons}
    dynamodb_proxy.behaviour = lambda call: (
        (400, json.dumps(cancelled).encode()) if call.operation == "TransactWriteItems" else call.forward()
    )

    with pytest.raises(proxied.client.exceptions.TransactionCanceledException):
        save_target(proxied, Target(account.alias, [FAILURE], url(1)))


def test_a_change_that_is_always_overtaken_is_a_conflict_and_changes_nothing(
    account: Account, dynamodb_proxy: FaultProxy, proxied: TargetsStore
) -> None:
    counter = itertools.count()

    def always_first(call: Call) -> Answer:
        if call.operation == "TransactWriteItems":
            account.set_target(FAILURE, url(1), headers={"x-count": str(next(counter))})
        return call.forward()

    dynamodb_proxy.behaviour = always_first

    with pytest.raises(Conflict):
        save_target(proxied, Target(account.alias, [FAILURE], url(2)))
    assert account.target().url == url(1)


def test_a_change_without_differences_is_no_change(account: Account, store: TargetsStore) -> None:
    account.set_target(FAILURE, url(1))
    before = store.load(account.alias)

    after = store.change(account.alias, lambda seen: seen.targets)

    assert after == before


_PROCESS = """
import sys
from dataclasses import replace

import boto3
from backup_webhooks.aws.errors import Conflict
from backup_webhooks.targets.store import TargetsStore

table, account, name = sys.argv[1:]
store = TargetsStore(boto3.client("dynamodb"), table)
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    while True:
        try:
            store.change(
                account, lambda seen: [replace(one, headers={**one.headers, name: str(number)}) for one in seen.targets]
            )
            break
        except Conflict:
            pass
"""


def test_two_processes_that_change_one_target_at_once_lose_no_change(account: Account, stack: Stack) -> None:
    account.set_target(FAILURE, url(1))
    before = account.targets.load(account.alias).revision
    names = ("x-one", "x-other")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, stack.outputs["WebhooksTableName"], account.alias, name],
            env=os.environ | stack.aws_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait() for process in processes] == [0, 0]

    stored = account.targets.load(account.alias)
    assert [target.headers for target in stored.targets] == [dict.fromkeys(names, "9")]
    assert stored.revision == before + 20
