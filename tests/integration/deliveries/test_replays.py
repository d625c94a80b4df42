"""Replays of all that failed: whole, once each, and the oldest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from backup_webhooks.deliveries.replays import Replays
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.messages import finished, missed
from tests.world.boundary import Crossing, Fault
from tests.world.world import RETRIES, World

FAILURE, MISSING = EventType.FAILURE, EventType.MISSING
DAY = timedelta(days=1)


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    with Receiver() as receiver:
        receiver.on_post = world._on_post
        yield receiver


def replay_all(world: World, account: Account) -> int:
    """Replay as the page does, page by page, and again after an error."""
    replays: Replays = world.functions.api.replays
    count, cursor = 0, None
    while True:
        replayed = replays.undelivered_since(account.alias, world.now - 20 * DAY, cursor)
        count, cursor = count + replayed.count, replayed.cursor
        if cursor is None:
            return count


def sent_attempts(world: World) -> list[str]:
    """Return the restore points, or the server policies, whose attempts were sent, in their order."""
    messages = [json.loads(body) for body in world.sqs.accepted[RETRIES]]
    return [message["delivery"]["subjectId"] for message in messages if "delivery" in message]


def test_large_groups_are_all_replayed(account: Account, world: World, receiver: Receiver) -> None:
    """Three of them are more than SQS takes in one call."""
    account.set_target(MISSING, receiver.url, format="detailed", preferences=Preferences(group=True))
    world.answer = lambda path: 503
    for group in range(3):
        for number in range(90):
            world.send(missed(account.alias, f"sp-{group}-{number}").replace("Nightly", "Nightly " * 60))
        world.settle()
    refused = len(world.received)
    assert refused >= 3
    world.answer = lambda path: 200

    assert replay_all(world, account) == refused
    world.settle()

    assert len(world.received) == 2 * refused
    bodies = [post.body["backups"] for post in world.received if post.status == 200]
    assert len({backup["serverPolicyId"] for backups in bodies for backup in backups}) == 270


def test_the_oldest_is_replayed_first(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)
    world.answer = lambda path: 503
    dates = [world.now - days * DAY + timedelta(hours=hours) for days in range(3, 0, -1) for hours in (-5, 0, 5)]
    for number, date in reversed(list(enumerate(dates))):
        world.send(finished(account.alias, backupFinishedDate=date.isoformat(), restorePointId=f"rp-{number}"))
    world.settle()
    world.sqs.accepted[RETRIES].clear()

    assert replay_all(world, account) == len(dates)

    assert sent_attempts(world) == [f"rp-{number}" for number in range(len(dates))]


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_a_replay_of_all_that_ends_with_an_error_goes_on_where_it_ended(
    account: Account, world: World, receiver: Receiver, service: str
) -> None:
    account.set_target(FAILURE, receiver.url)
    world.answer = lambda path: 503
    for number in range(25):
        world.send(finished(account.alias, backupFinishedDate=world.now.isoformat(), restorePointId=f"rp-{number}"))
    world.settle()
    world.sqs.accepted[RETRIES].clear()
    sends: set[int] = set()

    def fail_late(crossing: Crossing) -> Fault | None:
        if crossing.service == "sqs":
            sends.add(crossing.number)
        return Fault.ERROR if len(sends) == 2 and crossing.service == service else None

    world.boundary.choose = fail_late
    assert world.invoke("webhooks_api", lambda _: replay_all(world, account)) is None
    world.boundary.choose = lambda crossing: None
    replay_all(world, account)

    sent = sent_attempts(world)
    assert set(sent) == {f"rp-{number}" for number in range(25)}
    # DynamoDB failed after ten were sent: they may be sent again. Each is attempted once all the same.
    assert len(sent) <= 25 + (10 if service == "dynamodb" else 0)
    world.answer = lambda path: 200
    world.settle()
    assert len(world.received) == 2 * 25


def test_what_is_replayed_counts_as_undelivered_no_more(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)
    world.answer = lambda path: 503
    world.send(finished(account.alias, backupFinishedDate=world.now.isoformat()))
    world.settle()

    assert [replay_all(world, account) for _ in range(3)] == [1, 0, 0]
    (entry,) = account.deliveries(f"{world.now:%Y-%m-%d}")
    assert entry["state"] == "retrying"


def test_a_replay_at_a_target_that_is_off_settles_it_once(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url)
    world.answer = lambda path: 503
    world.send(finished(account.alias, backupFinishedDate=world.now.isoformat()))
    world.settle()
    account.set_target(FAILURE, receiver.url, enabled=False)
    world.now += timedelta(minutes=1)

    for _ in range(3):
        assert replay_all(world, account) == 1
        world.settle()

    (entry,) = account.deliveries(f"{world.now:%Y-%m-%d}")
    assert (entry["state"], entry["error"]) == ("failed", "not attempted: the target was switched off")
    assert (world.retries.bodies, world.dead_letters.bodies) == ([], [])
