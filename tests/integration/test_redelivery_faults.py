"""Functions killed after each of their steps, DynamoDB and SQS failing at each call: no delivery is lost, and none is
posted twice but for the one that was in flight at the kill.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from backup_webhooks.messages import WebhookEvent
from backup_webhooks.targets import DeliveryMode
from botocore.exceptions import EndpointConnectionError

from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, new_account
from tests.support.memory import Killed
from tests.support.messages import missed
from tests.support.retry_world import Endpoint, Injector, RetryWorld

MISSING = WebhookEvent.MISSING
DELAYS = [timedelta(seconds=5), timedelta(minutes=5)]
DOWN = EndpointConnectionError(endpoint_url="https://aws.example")
EXPECTED_ON = "2018-12-20"


def steps_of_a_run(stack: Stack, *statuses: int) -> int:
    """How many steps a run without any fault has, from the notifier's first to the end of the last retry."""
    account, count = new_account(stack), Injector()
    with Receiver(Endpoint(*statuses)) as receiver:
        account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
        world = RetryWorld(stack, DELAYS)
        world.send(missed(account.alias))
        world.step = world.kill = count
        world.run()
    return count.count


def states(account: Account) -> list[tuple[str, int]]:
    return [(entry["state"], int(entry["attempts"])) for entry in account.deliveries(EXPECTED_ON)]


@pytest.fixture(scope="module", params=["recovers", "never recovers"])
def statuses(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """An endpoint that fails twice, and one that always does: with two retries, three attempts either way."""
    return (503, 503, 200) if request.param == "recovers" else (503,)


@pytest.fixture(scope="module")
def steps(stack: Stack, statuses: tuple[int, ...]) -> Iterator[int]:
    yield steps_of_a_run(stack, *statuses)


@pytest.mark.parametrize("error", [Killed(), DOWN], ids=["killed", "call failed"])
def test_at_whatever_step_it_happens_no_delivery_is_lost_and_none_is_repeated(
    stack: Stack, statuses: tuple[int, ...], steps: int, error: BaseException, subtests: pytest.Subtests
) -> None:
    assert steps > 25
    for at in range(steps):
        with subtests.test(step=at):
            account = new_account(stack)
            endpoint, injector = Endpoint(*statuses), Injector(at, error)
            with Receiver(endpoint) as receiver:
                account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
                world = RetryWorld(stack, DELAYS)
                world.send(missed(account.alias))
                world.step = injector
                # Nobody but a kill comes between the POST and its end.
                world.kill = injector if isinstance(error, Killed) else lambda: None
                world.run()

            ((state, attempts),) = states(account)
            (posts,) = endpoint.posts.values()
            buried = {message.body for message in world.dead_letters._messages}
            assert posts <= 3 + world.posts_lost_sight_of <= 4
            if statuses[-1] == 200:
                assert not buried
                # What could not be written down was posted all the same, and is not posted again.
                assert state == "delivered" or (state == "claimed" and not world.kills)
            else:
                assert (attempts, posts) >= (3, 3)
                assert state == "exhausted" or (state == "claimed" and not world.kills)
                # However often it was put there, it is one attempt: the next.
                assert {json.loads(body)["attempt"] for body in buried} == {4}


def test_a_random_week_of_kills_faults_and_repeated_messages_loses_nothing(stack: Stack) -> None:
    for seed in range(int(os.environ.get("SEEDS", "10"))):
        print(f"seed {seed}")
        chance = random.Random(seed)
        accounts = [new_account(stack) for _ in range(3)]

        def step(chance: random.Random = chance) -> None:
            if chance.random() < 0.04:
                raise chance.choice([Killed(), DOWN])

        def kill(chance: random.Random = chance) -> None:
            if chance.random() < 0.04:
                raise Killed

        endpoints = [Endpoint(200), Endpoint(503, 503, 503, 503, 200), Endpoint(500, 503)]
        with Receiver(endpoints[0]) as good, Receiver(endpoints[1]) as shaky, Receiver(endpoints[2]) as dead:
            for account, receiver in zip(accounts, (good, shaky, dead), strict=True):
                account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
            world = RetryWorld(stack, [*DELAYS, timedelta(minutes=40)], chance)
            bodies = [missed(account.alias, f"sp-{number}") for account in accounts for number in range(4)]
            for body in bodies + chance.sample(bodies, 4):
                world.send(body)
            world.step, world.kill = step, kill
            world.run()
            world.step = world.kill = lambda: None
            dead_letters = world.events.dead_letters + world.retries.dead_letters

            for account, endpoint in zip(accounts, endpoints, strict=True):
                entries = account.deliveries(EXPECTED_ON)
                waiting = [body for body in dead_letters if account.alias in body]
                assert len(endpoint.posts) + len(waiting) >= 4, "a delivery is lost"
                for entry in entries:
                    allowed = int(entry["attempts"]) + world.posts_lost_sight_of
                    assert endpoint.posts[entry["webhookId"]] <= allowed
                    assert entry["state"] in ("delivered", "exhausted", "claimed")
            assert sum(endpoints[0].posts.values()) <= 4 + world.posts_lost_sight_of
            exhausted = {json.loads(message.body)["delivery"]["account"] for message in world.dead_letters._messages}
            assert exhausted == {accounts[2].alias}


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
                account.webhooks.record_failure(target, 503, "", slow=False, now=world.now - timedelta(days=6))
                long_ago = world.now - timedelta(days=5) + timedelta(seconds=2)
                account.webhooks.record_confirmation(account.target(), long_ago)
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
