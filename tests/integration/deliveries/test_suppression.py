"""Recoveries and suppressed deliveries, through the notifier's handler, queue and tables."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType, encode_message
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.targets.preferences import Preferences, QuietHours

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.fault_proxy import FaultProxy, internal_server_error
from tests.support.messages import failed_ids, finished
from tests.support.policies import LONG_AGO, changed, record

FAILURE, MISSING, SUCCESS, RECOVERED = (
    EventType.FAILURE,
    EventType.MISSING,
    EventType.SUCCESS,
    EventType.RECOVERED,
)
CHANGES = Preferences(changes_only=True)


def quiet_now() -> QuietHours:
    """Return quiet hours from two hours ago to two hours from now, across midnight if need be."""
    now = datetime.now(UTC)
    start, end = (now + timedelta(hours=hours) for hours in (-2, 2))
    return QuietHours(time(start.hour, start.minute), time(end.hour, end.minute), "UTC")


@pytest.fixture
def queue(new_queue: Callable[[], str]) -> str:
    return new_queue()


@pytest.fixture
def notify(
    handler_at: Callable[..., Invoke], queue: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Passes messages to the notifier, and then those that it sends itself, until there are none."""
    notifier = handler_at("notifier")
    monkeypatch.setenv("BACKUP_EVENTS_QUEUE_URL", queue)
    sqs = stack.client("sqs")

    def run(*bodies: str) -> None:
        while bodies:
            assert failed_ids(notifier(*bodies)) == []
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            bodies = tuple(message["Body"] for message in messages)

    return run


@pytest.fixture
def night(account: Account) -> Callable[[int, str], str]:
    """Returns the end of a backup in a night of December 2018, of a server policy of the test's own."""
    policy = str(uuid.uuid4())

    def ended(day: int, status: str) -> str:
        return finished(
            account.alias,
            serverPolicyId=policy,
            restorePointId=f"rp-{day}",
            restorePointCreationStatus=status,
            backupStartedDate=f"2018-12-{day:02}T01:00:00Z",
            backupFinishedDate=f"2018-12-{day:02}T01:30:00Z",
        )

    return ended


def texts(receiver: Receiver) -> list[str]:
    return [json.loads(post.body)["text"] for post in receiver.posts]


def states(account: Account, *days: int) -> list[tuple[str, str | None]]:
    entries = [entry for day in days for entry in account.deliveries(f"2018-12-{day:02}")]
    return [(entry["state"], entry["error"]) for entry in entries]


def test_the_first_success_after_failures_is_posted_as_recovered(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    account.set_target(RECOVERED, receiver.url, format="detailed")

    for day, status in enumerate(["SUCCESS", "FAILED", "FAILED", "PARTIAL_SUCCESS", "SUCCESS", "SUCCESS"], 1):
        notify(night(day, status))

    (post,) = receiver.posts
    body = json.loads(post.body)
    assert body.pop("text").startswith(
        "IL1TESTWEB01 recovered with restore point [rp-5] at 2018-12-05 01:30:00 UTC for policy [Nightly]"
    )
    assert body.pop("serverPolicyId")
    assert body == {
        "event": "Backup.Recovered",
        "account": account.alias,
        "server": "IL1TESTWEB01",
        "accountPolicyName": "Nightly",
        "accountPolicyId": "5b7f3f0e-3c57-4c1a-8f0b-0f6f2f1f7c11",
        "storageRegion": "US WEST",
        "restorePointId": "rp-5",
        "finishedDate": "2018-12-05 01:30:00 UTC",
        "failingSinceDate": "2018-12-02 01:30:00 UTC",
        "failed": 2,
        "partlySucceeded": 1,
        "missed": 0,
        "unfinished": 0,
        "stale": 0,
    }


def test_a_recovery_is_posted_once_though_all_messages_come_twice(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    account.set_target(RECOVERED, receiver.url)

    for message in (night(1, "FAILED"), night(2, "SUCCESS")):
        notify(message)
        notify(message)

    assert len(receiver.posts) == 1


def test_a_recovery_is_sent_even_if_its_message_could_not_be_sent_at_first(
    account: Account,
    handler_at: Callable[..., Invoke],
    sqs_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    queue: str,
    stack: Stack,
    night: Callable[[int, str], str],
) -> None:
    """A function that is killed before it sends the recovery has already stored the success. It is still sent."""
    notifier = handler_at("notifier", sqs_url=sqs_proxy.url)
    monkeypatch.setenv("BACKUP_EVENTS_QUEUE_URL", queue)
    monkeypatch.setenv("EMAIL_NOTICES_QUEUE_URL", "")
    notifier(night(1, "FAILED"))
    sqs_proxy.behaviour = lambda call: internal_server_error()
    assert failed_ids(notifier(night(2, "SUCCESS"))) == ["message-0"]

    sqs_proxy.behaviour = lambda call: call.forward()
    assert failed_ids(notifier(night(2, "SUCCESS"))) == []

    (sent,) = stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(sent["Body"])["type"] == "BackupRecovered"


def test_with_changes_only_the_first_failure_and_the_success_after_it_are_posted(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    account.set_target(FAILURE, f"{receiver.url}/failure", preferences=CHANGES)
    account.set_target(SUCCESS, f"{receiver.url}/success", preferences=CHANGES)

    for day, status in enumerate(["SUCCESS", "FAILED", "FAILED", "SUCCESS", "SUCCESS", "FAILED"], 1):
        notify(night(day, status))
        notify(night(day, status))

    # The first that a new target is sent is never a repetition.
    assert [(post.path, json.loads(post.body)["text"].partition("rp-")[2][:1]) for post in receiver.posts] == [
        ("/success", "1"),
        ("/failure", "2"),
        ("/success", "4"),
        ("/failure", "6"),
    ]
    assert states(account, 1, 3, 5) == [
        ("delivered", None),
        ("suppressed", "nothing new since 2018-12-02T01:30:00.000Z"),
        ("suppressed", "nothing new since 2018-12-04T01:30:00.000Z"),
    ]


def test_a_target_that_wants_all_gets_all_beside_one_that_does_not(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    account.set_target(FAILURE, f"{receiver.url}/all")
    account.set_target(FAILURE, f"{receiver.url}/changes", preferences=CHANGES)

    for day in (1, 2, 3):
        notify(night(day, "FAILED"))

    assert sorted(post.path for post in receiver.posts) == ["/all", "/all", "/all", "/changes"]


def test_with_changes_only_misses_in_a_row_are_posted_once(
    account: Account, stack: Stack, notify: Callable[..., None], receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, preferences=CHANGES)
    policies = ServerPoliciesStore(stack.client("dynamodb"), stack.outputs["ServerPoliciesTableName"])
    policy_id = str(uuid.uuid4())
    record(policies, changed("12-01 16:00", server_policy_id=policy_id, clc_account_alias=account.alias))

    for _ in range(3):
        policy = policies.load(account.alias, policy_id)
        notify(encode_message(policy.miss()))
        policies.save(policy.after_miss(LONG_AGO))

    (text,) = texts(receiver)
    assert "expected at 2018-12-01T17:00:00.000Z" in text
    assert [state for state, _ in states(account, 1, 2, 3)] == ["delivered", "suppressed", "suppressed"]


def test_in_quiet_hours_failures_are_posted_and_successes_suppressed(
    account: Account,
    notify: Callable[..., None],
    night: Callable[[int, str], str],
    receiver: Receiver,
) -> None:
    quiet = quiet_now()
    account.set_target(FAILURE, receiver.url, preferences=Preferences(quiet_hours=quiet))
    account.set_target(SUCCESS, receiver.url, preferences=Preferences(quiet_hours=quiet))
    account.set_target(RECOVERED, receiver.url, preferences=Preferences(quiet_hours=quiet))

    notify(night(1, "FAILED"))
    notify(night(2, "SUCCESS"))

    assert [text.split("  -  ")[0] for text in texts(receiver)] == ["Status: FAILED"]
    assert states(account, 2) == [("suppressed", f"quiet hours: {quiet}")] * 2


def test_a_claimed_delivery_is_not_suppressed_later(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    account.set_target(SUCCESS, receiver.url)
    notify(night(1, "SUCCESS"))
    account.set_target(SUCCESS, receiver.url, preferences=Preferences(quiet_hours=quiet_now()))

    notify(night(1, "SUCCESS"))

    assert [state for state, _ in states(account, 1)] == ["delivered"]


@pytest.mark.parametrize(("status", "at_once"), [("FAILED", ["/all", "/changes"]), ("SUCCESS", ["/all"])])
def test_without_the_server_policy_a_failure_is_posted_and_a_success_waits(
    account: Account,
    handler_at: Callable[..., Invoke],
    dynamodb_proxy: FaultProxy,
    stack: Stack,
    night: Callable[[int, str], str],
    receiver: Receiver,
    status: str,
    at_once: list[str],
) -> None:
    event = FAILURE if status == "FAILED" else SUCCESS
    account.set_target(event, f"{receiver.url}/all")
    account.set_target(event, f"{receiver.url}/changes", preferences=CHANGES)
    notifier = handler_at("notifier", dynamodb_url=dynamodb_proxy.url)
    table = stack.outputs["ServerPoliciesTableName"]
    dynamodb_proxy.behaviour = lambda call: (
        internal_server_error()
        if call.operation == "GetItem" and call.parameters["TableName"] == table
        else call.forward()
    )
    assert failed_ids(notifier(night(1, status))) == ["message-0"]
    assert sorted(post.path for post in receiver.posts) == at_once

    dynamodb_proxy.behaviour = lambda call: call.forward()
    assert failed_ids(notifier(night(1, status))) == []
    assert sorted(post.path for post in receiver.posts) == ["/all", "/changes"]


def test_a_failing_target_is_sent_each_event_as_the_first_may_not_have_arrived(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str]
) -> None:
    with Receiver(lambda post: 503 if len(receiver.posts) < 2 else None) as receiver:
        account.set_target(FAILURE, receiver.url, preferences=CHANGES)
        for day in (1, 2, 3, 4):
            notify(night(day, "FAILED"))

    assert [text.partition("rp-")[2][:1] for text in texts(receiver)] == ["1", "2"]


def test_in_quiet_hours_a_success_still_closes_an_incident(
    account: Account, notify: Callable[..., None], night: Callable[[int, str], str], receiver: Receiver
) -> None:
    quiet = Preferences(quiet_hours=quiet_now())
    account.set_target(SUCCESS, receiver.url, format="pagerduty", destination_key="k" * 32, preferences=quiet)

    notify(night(1, "SUCCESS"))

    (post,) = receiver.posts
    assert json.loads(post.body)["event_action"] == "resolve"
