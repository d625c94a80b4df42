"""The handler of redeliverer, with messages as they are on RetryQueue."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from backup_webhooks.deliveries.delivery import ReminderDue, encode_retry_message
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.target_partition import partition_of
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode, Target

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.messages import failed_ids, finished
from tests.support.pings import taken_off
from tests.world.endpoints import Endpoint

FAILURE = EventType.FAILURE


@pytest.fixture
def retries(new_queue: Callable[[], str]) -> str:
    """The test's own RetryQueue."""
    return new_queue()


@pytest.fixture
def function(
    handler_at: Callable[..., Invoke], retries: str, new_queue: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Invoke]:
    """Makes handlers of functions by name. They send to `retries`."""
    events = new_queue()

    def make(name: str) -> Invoke:
        handler = handler_at(name)
        monkeypatch.setenv("RETRY_QUEUE_URL", retries)
        monkeypatch.setenv("BACKUP_EVENTS_QUEUE_URL", events)
        return handler

    return make


def ended(account: Account, status: str, **changes: Any) -> str:
    """Return the end of a backup of a server policy that no other test has."""
    return finished(account.alias, serverPolicyId=account.alias, restorePointCreationStatus=status, **changes)


def due_now(account: Account, stack: Stack, target: Target) -> tuple[RemindersStore, str, ReminderDue]:
    """Plan a reminder of the account's server policy for now, as if its hours had passed."""
    store = RemindersStore(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"])
    due_at = Timestamp.of(utc_now())
    message = ReminderDue(
        account=account.alias,
        event_type=FAILURE,
        target_id=target.target_id,
        server_policy_id=account.alias,
        due_at=due_at,
    )
    partition = partition_of(message)
    store.plan(partition, account.alias, due_at, due_at + timedelta(days=1))
    return store, partition, message


def test_a_delivery_whose_last_attempt_fails_is_in_the_dead_letter_queue(
    account: Account,
    stack: Stack,
    function: Callable[[str], Invoke],
    retries: str,
    new_queue: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead_letters = new_queue()
    with Receiver(Endpoint(503)) as receiver:
        account.set_target(FAILURE, receiver.url, delivery=DeliveryMode.RETRY)
        assert failed_ids(function("notifier")(finished(account.alias))) == []
        (message,) = stack.client("sqs").receive_message(QueueUrl=retries, WaitTimeSeconds=10)["Messages"]
        redeliverer = function("redeliverer")
        monkeypatch.setenv("RETRY_DEAD_LETTER_QUEUE_URL", dead_letters)
        # The local stack's schedule has three retries.
        last = json.loads(message["Body"]) | {"dueAt": "2018-12-20T01:39:43.000Z", "attempt": 4, "retries": 3}

        assert failed_ids(redeliverer(json.dumps(last))) == []

    assert len(receiver.posts) == 2
    (entry,) = account.deliveries()
    assert (entry["state"], entry["attempts"]) == ("exhausted", 4)
    (dead,) = taken_off(stack, dead_letters)
    assert dead["attempt"] == 5


def test_a_reminder_of_trouble_that_is_over_is_dropped(
    account: Account, stack: Stack, function: Callable[[str], Invoke], receiver: Receiver
) -> None:
    target = account.set_target(FAILURE, receiver.url, preferences=Preferences(changes_only=True, remind_hours=1))
    notifier = function("notifier")
    notifier(ended(account, "FAILED"))
    notifier(ended(account, "SUCCESS", backupFinishedDate="2018-12-20T02:39:38Z"))
    store, partition, message = due_now(account, stack, target)

    assert failed_ids(function("redeliverer")(encode_retry_message(message))) == []

    assert len(receiver.posts) == 1
    assert store.due(partition, account.alias, message.due_at) is None


def test_a_reminder_for_a_target_with_grouping_waits_for_others(
    account: Account, stack: Stack, function: Callable[[str], Invoke], receiver: Receiver
) -> None:
    preferences = Preferences(changes_only=True, remind_hours=1, group=True)
    target = account.set_target(FAILURE, receiver.url, preferences=preferences)
    function("notifier")(ended(account, "FAILED"))
    _, _, message = due_now(account, stack, target)

    assert failed_ids(function("redeliverer")(encode_retry_message(message))) == []

    assert receiver.posts == []
    (reminder,) = account.deliveries(f"{message.due_at:%Y-%m-%d}")
    assert reminder["state"] == "grouped"
