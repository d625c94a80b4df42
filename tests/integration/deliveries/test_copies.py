"""Copies of messages on RetryQueue: a function that is killed at its batch's end leaves its messages to come again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.messages import missed
from tests.world.aws import Aws
from tests.world.endpoints import Endpoint
from tests.world.world import World

MISSING = EventType.MISSING
# A wait of hours is many rounds through the queue.
DELAYS = {"RETRY_DELAYS_SECONDS": "5,7200"}


def kill_at_the_end_of_each_batch(world: World) -> None:
    """Let the redeliverer's process end when all is done, before Lambda deletes what it has handled."""
    handle = world._handle

    def handle_and_die(function: str, *args: Any) -> Any:
        answer = handle(function, *args)
        if function == "redeliverer":
            world.boundary.kill()
        return answer

    world._handle = handle_and_die  # type: ignore[method-assign]


def test_no_message_is_multiplied_by_kills_at_each_batchs_end(account: Account, world_aws: Aws) -> None:
    world = World(world_aws, environment=DELAYS)
    world.repeated = 0
    endpoint = Endpoint(503)
    with Receiver(endpoint) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        for number in range(2):
            world.send(missed(account.alias, f"sp-{number}"))
        kill_at_the_end_of_each_batch(world)
        for quarter in range(1, 12):
            world.run(until=world.now + timedelta(minutes=15))
            bodies = world.retries.bodies
            assert len(bodies) == len(set(bodies)), f"copies after {quarter} quarters of an hour"

    assert sum(endpoint.posts.values()) == 2 * 3
    assert len(world.dead_letters.bodies) == 2
