"""The dead letters of deliveries, and faults on the way there. Faults at each call of all functions: `tests/faults`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode
from botocore.exceptions import EndpointConnectionError

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, new_account
from tests.support.memory import Killed
from tests.support.messages import missed
from tests.support.retry_world import Endpoint, Injector, RetryWorld

MISSING = EventType.MISSING
DELAYS = [timedelta(seconds=5), timedelta(minutes=5)]
DOWN = EndpointConnectionError(endpoint_url="https://aws.example")
EXPECTED_ON = "2018-12-20"


def states(account: Account) -> list[tuple[str, int]]:
    return [(entry["state"], int(entry["attempts"])) for entry in account.deliveries(EXPECTED_ON)]


def test_what_is_in_the_dead_letters_twice_is_attempted_once_more(account: Account, world: RetryWorld) -> None:
    endpoint = Endpoint(503)
    with Receiver(endpoint) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world.send(missed(account.alias))
        world.run()
        (message,) = world.dead_letters._messages
        endpoint.statuses = [200]
        for _ in range(2):
            world.retries.send_message(QueueUrl="RetryQueue", MessageBody=message.body)
        world.run()

    assert states(account) == [("delivered", 5)]
    assert sum(endpoint.posts.values()) == 5


@pytest.mark.parametrize("error", [Killed(), DOWN], ids=["killed", "call failed"])
def test_a_fault_at_the_attempt_that_switches_the_target_off_loses_nothing_either(
    stack: Stack, error: BaseException, subtests: pytest.Subtests
) -> None:
    """The last retry is the failure with which five days are over: when the message comes again, the target is off."""
    for at in range(40):
        with subtests.test(step=at):
            account, injector = new_account(stack), Injector(at, error)
            world = RetryWorld(stack, delays=[timedelta(seconds=5)])
            with Receiver(Endpoint(503)) as receiver:
                target = account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
                account.targets.record_failure(target, 503, "", slow=False, now=world.now - timedelta(days=6))
                long_ago = world.now - timedelta(days=5) + timedelta(seconds=2)
                account.targets.record_confirmation(account.target(), long_ago)
                world.send(missed(account.alias))
                world.step = world.kill = injector
                world.run()

            ((state, _),) = states(account)
            buried = len(world.dead_letters._messages)
            assert (state == "exhausted" and buried) or state in ("failed", "claimed"), (state, buried)


def test_a_dead_letter_whose_target_is_off_goes_back_to_the_dead_letters(account: Account, world: RetryWorld) -> None:
    with Receiver(Endpoint(503)) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world.send(missed(account.alias))
        world.run()
        (message,) = world.dead_letters._messages
        world.dead_letters.delete(message)
        account.set_target(MISSING, receiver.url, enabled=False)
        world.now += timedelta(minutes=1)
        world.retries.send_message(QueueUrl="RetryQueue", MessageBody=message.body)
        world.run()

    assert [state for state, _ in states(account)] == ["exhausted"]
    assert [again.body for again in world.dead_letters._messages] == [message.body]
