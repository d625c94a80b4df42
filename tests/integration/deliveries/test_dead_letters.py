"""Deliveries that are redriven from the dead-letter queue."""

from __future__ import annotations

from datetime import timedelta

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


def test_a_redriven_delivery_whose_target_is_off_returns_to_the_dead_letter_queue(
    account: Account, world: World
) -> None:
    with Receiver(Endpoint(503)) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world.send(missed(account.alias))
        world.settle()
        (message,) = world.dead_letters.messages
        world.dead_letters.delete(message)
        account.set_target(MISSING, receiver.url, enabled=False)
        world.now += timedelta(minutes=1)
        world.retries.send(message.body)
        world.settle()

    assert [state for state, _ in states(account)] == ["exhausted"]
    assert [again.body for again in world.dead_letters.messages] == [message.body]
