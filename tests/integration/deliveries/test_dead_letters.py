"""Deliveries that are redriven from the dead-letter queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.messages import missed
from tests.world.endpoints import Endpoint
from tests.world.world import World

MISSING = EventType.MISSING
EXPECTED_ON = "2018-12-20"


def states(account: Account) -> list[tuple[str, int]]:
    return [(entry["state"], int(entry["attempts"])) for entry in account.deliveries(EXPECTED_ON)]


def test_a_delivery_that_is_twice_in_the_dead_letter_queue_is_attempted_once_more(
    account: Account, world: World
) -> None:
    endpoint = Endpoint(503)
    with Receiver(endpoint) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world.send(missed(account.alias))
        world.settle()
        (message,) = world.dead_letters.messages
        endpoint.statuses = [200]
        for _ in range(2):
            world.retries.send(message.body)
        world.settle()

    assert states(account) == [("delivered", 5)]
    assert sum(endpoint.posts.values()) == 5


@pytest.mark.parametrize("fate", ["removed", "switched off"])
def test_a_redriven_delivery_that_cannot_be_attempted_any_more_is_settled_once_with_its_reason(
    account: Account, world: World, fate: str
) -> None:
    """A redrive goes on until the dead-letter queue is empty: what came back would go round without end."""
    with Receiver(Endpoint(503)) as receiver:
        target = account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world.send(missed(account.alias))
        world.settle()
        if fate == "removed":
            account.remove(target)
        else:
            account.set_target(MISSING, receiver.url, enabled=False)
        world.now += timedelta(minutes=1)
        for _ in range(3):
            world.redrive()
            world.settle()

    (entry,) = account.deliveries(EXPECTED_ON)
    assert (entry["state"], entry["error"]) == ("failed", f"not attempted: the target was {fate}")
    assert (world.dead_letters.bodies, world.retries.bodies) == ([], [])
