"""Grouping: the events for a target within a minute are one message, whatever fails on the way."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from backup_webhooks.aws.items import to_item
from backup_webhooks.deliveries.delivery import Delivery, GroupDue, encode_retry_message
from backup_webhooks.deliveries.grouping import GROUP_WAIT
from backup_webhooks.events.messages import BackupMissed, EventType, parse_message
from backup_webhooks.events.timestamps import Timestamp, utc_now
from backup_webhooks.payloads import render_all
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode, Target

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.messages import failed_ids, finished, missed
from tests.support.pings import taken_off
from tests.world.endpoints import Endpoint
from tests.world.world import World

FAILURE, MISSING, SUCCESS = EventType.FAILURE, EventType.MISSING, EventType.SUCCESS
GROUPING = Preferences(group=True)
MINUTE = timedelta(minutes=1)


def posted(receiver: Receiver) -> list[list[str]]:
    """Return the server policies of each post, in the format `detailed`."""
    bodies = [json.loads(post.body) for post in receiver.posts]
    return [[backup["serverPolicyId"] for backup in body.get("backups", [body])] for body in bodies]


def states(account: Account, *days: str) -> Counter[str]:
    return Counter(entry["state"] for day in days for entry in account.deliveries(day))


def today(world: World) -> str:
    return f"{world.now:%Y-%m-%d}"


def group_due(target: Target, due_at: datetime) -> GroupDue:
    (event_type,) = target.event_types
    return GroupDue(
        account=target.account, event_type=event_type, target_id=target.target_id, due_at=Timestamp.of(due_at)
    )


def test_a_hundred_servers_missed_at_once_are_one_message_with_a_list(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    servers = [f"sp-{number:03}" for number in range(100)]

    for server in servers:
        world.send(missed(account.alias, server))
    world.settle()

    (post,) = receiver.posts
    body = json.loads(post.body)
    assert body["text"].splitlines()[0] == f"100 backups missed: account {account.alias}"
    assert (body["account"], body["count"]) == (account.alias, 100)
    assert [backup["serverPolicyId"] for backup in body["backups"]] == servers
    # Each has the same content as when it is posted alone.
    assert body["backups"][7]["text"] == body["text"].splitlines()[8]
    assert body["backups"][7]["text"].startswith("IL1TESTWEB01 missed a backup expected at 2018-12-20T05:00:00.000Z")
    assert states(account, "2018-12-20") == {"grouped": 100}
    (entry,) = account.deliveries(today(world))
    assert (entry["state"], entry["attempts"], entry["body"]) == ("delivered", 1, post.body.decode())


def test_the_log_names_the_delivery_in_which_an_event_was_sent(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, preferences=GROUPING)
    for number in range(120):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle()

    (sent,) = account.deliveries(today(world))
    assert {entry["groupedIn"] for entry in account.deliveries("2018-12-20")} == {sent["delivery"]}


def test_an_event_that_the_log_has_forgotten_is_sent_all_the_same(
    account: Account, world: World, receiver: Receiver, stack: Stack
) -> None:
    account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    for number in range(3):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle(within=MINUTE / 2)
    table, forgotten = stack.outputs["DeliveriesTableName"], account.deliveries("2018-12-20")[1]
    key = to_item({name: forgotten[name] for name in ("accountDay", "delivery")})
    stack.client("dynamodb").delete_item(TableName=table, Key=key)

    world.settle()

    assert posted(receiver) == [["sp-0", "sp-1", "sp-2"]]
    assert [entry["state"] for entry in account.deliveries("2018-12-20")] == ["grouped"] * 2


def test_a_group_waits_for_a_minute_and_later_events_are_another_message(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    world.send(missed(account.alias, "sp-1"))
    world.settle(within=MINUTE / 2)
    assert posted(receiver) == []
    world.send(missed(account.alias, "sp-2"))
    world.settle()
    assert posted(receiver) == [["sp-1", "sp-2"]]

    world.send(missed(account.alias, "sp-3"))
    world.settle()

    assert posted(receiver) == [["sp-1", "sp-2"], ["sp-3"]]


def test_a_single_event_is_posted_as_without_grouping(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(MISSING, receiver.url, preferences=GROUPING)

    world.send(missed(account.alias))
    world.settle()

    (post,) = receiver.posts
    assert json.loads(post.body)["text"].startswith("IL1TESTWEB01 missed a backup expected at ")


def test_each_event_and_target_has_its_own_group_and_others_are_posted_at_once(
    account: Account, world: World, receiver: Receiver
) -> None:
    for event, path, preferences in (
        (MISSING, "a", GROUPING),
        (MISSING, "b", GROUPING),
        (MISSING, "c", Preferences()),
        (FAILURE, "a", GROUPING),
    ):
        account.set_target(event, f"{receiver.url}/{path}", format="detailed", preferences=preferences)

    for number in range(3):
        world.send(missed(account.alias, f"sp-{number}"))
        world.send(finished(account.alias, serverPolicyId=f"sp-{number}"))
    world.settle()

    posts = [(post.path, len(json.loads(post.body).get("backups", "x"))) for post in receiver.posts]
    assert posts[:3] == [("/c", 1)] * 3
    assert sorted(posts[3:]) == [("/a", 3), ("/a", 3), ("/b", 3)]


def test_an_event_that_comes_twice_is_grouped_once(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    for _ in range(2):
        for number in range(3):
            world.send(missed(account.alias, f"sp-{number}"))
        world.settle()

    assert posted(receiver) == [["sp-0", "sp-1", "sp-2"]]


def test_a_suppressed_event_is_not_grouped(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=Preferences(changes_only=True, group=True))
    for number in range(2):
        for hour in (1, 2):
            ends = f"2018-12-20T0{hour}:39:38Z"
            world.send(finished(account.alias, serverPolicyId=f"{account.alias}-{number}", backupFinishedDate=ends))
            world.settle(within=timedelta(seconds=1))
    world.settle()

    assert [sorted(servers) for servers in posted(receiver)] == [[f"{account.alias}-0", f"{account.alias}-1"]]
    assert states(account, "2018-12-20") == {"grouped": 2, "suppressed": 2}


def test_a_group_that_fails_is_retried_as_one(account: Account, world: World) -> None:
    endpoint = Endpoint(503, 503, 200)
    with Receiver(endpoint) as receiver:
        account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING, delivery=DeliveryMode.RETRY)
        for number in range(3):
            world.send(missed(account.alias, f"sp-{number}"))
        world.settle()

    assert list(endpoint.posts.values()) == [3]
    assert posted(receiver) == [["sp-0", "sp-1", "sp-2"]] * 3


@pytest.mark.parametrize("fate", ["removed", "switched off"])
def test_a_target_that_is_removed_or_off_by_then_is_not_called_and_the_log_says_so(
    account: Account, world: World, receiver: Receiver, fate: str
) -> None:
    target = account.set_target(MISSING, receiver.url, preferences=GROUPING)
    for number in range(2):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle(within=timedelta(seconds=30))
    if fate == "removed":
        account.targets.change(account.alias, lambda _: [])
    else:
        account.set_target(MISSING, receiver.url, enabled=False)
    world.settle()

    assert receiver.posts == []
    (entry,) = account.deliveries(today(world))
    assert (entry["state"], entry["error"]) == ("failed", f"not attempted: the target was {fate}")
    assert entry["targetId"] == target.target_id
    assert "2 backups missed: account " in entry["body"]


def test_a_target_that_has_pagerdutys_format_by_then_gets_each_event_alone(
    account: Account, world: World, receiver: Receiver
) -> None:
    account.set_target(MISSING, receiver.url, preferences=GROUPING)
    for number in range(3):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle(within=timedelta(seconds=30))
    account.set_target(MISSING, receiver.url, format="pagerduty", destination_key="0123456789abcdef0123456789ABCDEF")
    world.settle()

    assert len({json.loads(post.body)["dedup_key"] for post in receiver.posts}) == len(receiver.posts) == 3


@pytest.mark.parametrize(
    ("format_name", "name"),
    [
        ("detailed", "x" * 500),
        ("detailed", '\\"' * 250),
        ("cloudevents", "\N{HIRAGANA LETTER A}" * 500),
        ("text", "x" * 500),
        ("slack", "<&>" * 166),
    ],
)
def test_a_group_too_large_for_one_message_is_several_and_complete(
    account: Account, world: World, receiver: Receiver, format_name: str, name: str
) -> None:
    account.set_target(MISSING, receiver.url, format=format_name, preferences=GROUPING)
    servers = [f"sp-{number:03}" for number in range(130)]
    for server in servers:
        world.send(json.dumps(json.loads(missed(account.alias, server)) | {"accountPolicyName": name}))
    world.settle()

    assert 2 <= len(receiver.posts) <= 20
    assert all(len(post.body) <= 120_000 for post in receiver.posts)
    if format_name in ("detailed", "cloudevents"):
        bodies = [json.loads(post.body) for post in receiver.posts]
        several = [body if isinstance(body, list) else body["backups"] for body in bodies]
        assert sorted(one.get("data", one)["serverPolicyId"] for some in several for one in some) == servers
    assert states(account, today(world)) == {"delivered": len(receiver.posts)}


def test_a_group_without_time_left_is_sent_later(account: Account, world: World, receiver: Receiver) -> None:
    target = account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    world.send(missed(account.alias))
    world.settle(within=MINUTE / 2)
    world.now += MINUTE
    due_now = group_due(target, world.now)

    assert world.notifier.grouper.send_group(due_now, target, world.now + timedelta(seconds=9)) == 0
    assert encode_retry_message(due_now) in [message.body for message in world.retries.messages]
    world.settle()

    assert posted(receiver) == [["sp-1"]]


def test_one_endless_name_leaves_room_for_the_others() -> None:
    braces = parse_message(json.dumps(json.loads(missed("TEST")) | {"accountPolicyName": "{" * 500}))
    others = [parse_message(missed("TEST", f"sp-{number}")) for number in range(30)]
    events = [event for event in (braces, *others) if isinstance(event, BackupMissed)]

    for format_name in ("slack", "teams", "google-chat", "ntfy"):
        assert render_all(format_name, events).decode().count(", Nightly") >= 25, format_name


def test_cloudevents_are_a_batch(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(MISSING, receiver.url, format="cloudevents", preferences=GROUPING)
    for number in range(2):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle()

    (post,) = receiver.posts
    assert post.headers["content-type"] == "application/cloudevents-batch+json"
    assert len({event["id"] for event in json.loads(post.body)}) == 2


def test_a_grouped_delivery_can_be_replayed_alone(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(MISSING, receiver.url, format="detailed", preferences=GROUPING)
    for number in range(2):
        world.send(missed(account.alias, f"sp-{number}"))
    world.settle()
    entry = account.deliveries()[0]

    world.functions.api.replays.one(account.alias, entry["delivery"])
    world.settle()

    assert posted(receiver) == [["sp-0", "sp-1"], ["sp-0"]]
    assert states(account, "2018-12-20") == {"delivered": 1, "grouped": 1}


def test_functions_that_send_a_group_at_the_same_time_send_each_event_once(account: Account, world: World) -> None:
    target = account.set_target(MISSING, "https://hooks.example/x", preferences=GROUPING)
    for number in range(40):
        event = parse_message(missed(account.alias, f"sp-{number:02}"))
        assert isinstance(event, BackupMissed)
        world.notifier.grouper.join(event, target, Delivery.of(event, target))
    world.now += GROUP_WAIT
    due = group_due(target, world.now)
    send_group = partial(world.notifier.grouper.send_group, due, target, world.now + MINUTE)
    threads = [threading.Thread(target=send_group) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sent = [json.loads(message.body) for message in world.retries.messages]
    deliveries = {one["delivery"]["subjectId"]: one["delivery"]["body"] for one in sent if "delivery" in one}
    texts = [line for body in deliveries.values() for line in json.loads(body)["text"].splitlines()[1:]]
    assert len(texts) == len(set(texts)) == 40


def test_a_batch_sends_one_message_for_its_group(
    account: Account,
    stack: Stack,
    new_queue: Callable[[], str],
    handler_at: Callable[..., Invoke],
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
) -> None:
    """The real functions handle the message by the real clock: one that comes early is sent again with a delay."""
    account.set_target(MISSING, receiver.url, preferences=GROUPING)
    queue = new_queue()
    notifier = handler_at("notifier")
    monkeypatch.setenv("RETRY_QUEUE_URL", queue)
    assert failed_ids(notifier(*(missed(account.alias, f"sp-{number}") for number in range(10)))) == []
    # The message is on the queue, and invisible for a minute.
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert [attributes[f"ApproximateNumberOfMessages{which}"] for which in ("", "Delayed")] == ["0", "1"]
    assert receiver.posts == []

    redeliverer = handler_at("redeliverer")
    monkeypatch.setenv("RETRY_QUEUE_URL", queue)
    redeliverer(encode_retry_message(group_due(account.target(), utc_now())))
    (message,) = taken_off(stack, queue)
    redeliverer(json.dumps(message))

    (post,) = receiver.posts
    assert len(json.loads(post.body)["text"].splitlines()) == 11


def test_it_can_be_set_but_not_for_pagerduty(account: Account, client: Client) -> None:
    path = of_account(account.alias, MISSING, "configuration")
    wanted: dict[str, Any] = {"targetUri": "https://hooks.example/x", "preferences": {"group": True}}

    assert client.put(path, {"targetUris": [wanted]}).status == 204
    assert account.target().preferences == GROUPING
    assert client.get(path).json["targetUris"][0]["preferences"]["group"] is True

    pagerduty = wanted | {"format": "pagerduty", "destinationKey": "0123456789abcdef0123456789ABCDEF"}
    assert client.put(path, {"targetUris": [pagerduty]}).errors.keys() == {"targetUris[0].preferences.group"}
