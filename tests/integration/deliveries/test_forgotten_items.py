"""DynamoDB deletes the delivery log's items once they expire. What must last longer is renewed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.messages import finished
from tests.world.aws import Aws
from tests.world.world import World

FAILURE = EventType.FAILURE
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world(world_aws: Aws) -> World:
    """A world in which the log is kept for a day."""
    world = World(world_aws, environment={"DELIVERY_RETENTION_DAYS": "1"})
    world.forgets, world.repeated = True, 0
    return world


def failed(account: Account, at: datetime) -> str:
    return finished(
        account.alias,
        serverPolicyId=account.alias,
        restorePointId=f"rp-{at:%d-%H}",
        backupStartedDate=f"{at - HOUR:%Y-%m-%dT%H:%M:%SZ}",
        backupFinishedDate=f"{at:%Y-%m-%dT%H:%M:%SZ}",
    )


def posted(receiver: Receiver) -> list[str]:
    return [json.loads(post.body)["restorePointId"] for post in receiver.posts]


def test_a_failure_that_lasts_is_sent_once(account: Account, world: World, receiver: Receiver) -> None:
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=Preferences(changes_only=True))
    began = world.now
    for _ in range(30):
        world.send(failed(account, world.now))
        world.run(until=world.now + 6 * HOUR)

    assert posted(receiver) == [f"rp-{began:%d-%H}"]


def test_it_is_reminded_of_as_long_as_it_lasts(account: Account, world: World, receiver: Receiver) -> None:
    """No new event comes, and at the second reminder the item of the first would be forgotten."""
    preferences = Preferences(changes_only=True, remind_hours=26)
    account.set_target(FAILURE, receiver.url, format="detailed", preferences=preferences)
    world.send(failed(account, world.now))
    world.run(until=world.now + timedelta(hours=3 * 26, minutes=30))

    assert len(posted(receiver)) == 1 + 3
