"""A delivery is posted once, though DynamoDB is slow or away, and whatever becomes of the message's other targets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from tests.integration.conftest import Account
from tests.support.messages import missed
from tests.world.boundary import Crossing, Fault
from tests.world.world import World

MISSING = EventType.MISSING
SECOND = timedelta(seconds=1)


@pytest.fixture
def endpoint(world: World) -> Receiver:
    """The endpoint of the world's targets, to be entered. It answers as `world.answer` says."""
    receiver = Receiver()
    receiver.on_post = world._on_post
    return receiver


def states(account: Account) -> list[tuple[str, int]]:
    return [(entry["state"], int(entry["attempts"])) for entry in account.deliveries()]


def test_no_post_begins_whose_record_might_come_after_the_functions_end(
    account: Account, world: World, endpoint: Receiver
) -> None:
    """Each call of DynamoDB takes 8 s of the function's 30: once it is claimed, a POST of 10 s has no time."""

    def slowly(crossing: Crossing) -> None:
        if crossing.service == "dynamodb":
            world.now += 8 * SECOND

    with endpoint:
        account.set_target(MISSING, endpoint.url)
        world.send(missed(account.alias))
        world.boundary.choose = slowly
        world.run(until=world.now + timedelta(minutes=10))
        assert world.received == []

        world.boundary.choose = lambda crossing: None
        world.settle()

    assert len(world.received) == 1
    assert states(account) == [("delivered", 1)]


@pytest.mark.parametrize("mode", DeliveryMode)
@pytest.mark.parametrize("status", [200, 503])
def test_an_attempt_is_recorded_as_soon_as_dynamodb_is_back(
    account: Account, world: World, endpoint: Receiver, mode: DeliveryMode, status: int
) -> None:
    """DynamoDB is away from the POST on, within one function's time and beyond it."""
    away_until, outage = world.now, SECOND

    def away_after_the_post(path: str) -> int:
        nonlocal away_until
        if not world.received:
            away_until = world.now + outage
            return status
        return 200

    def fault(crossing: Crossing) -> Fault | None:
        return Fault.ERROR if crossing.service == "dynamodb" and world.now < away_until else None

    with endpoint:
        for outage in (6 * SECOND, 40 * SECOND):
            world.received.clear()
            world.answer, world.boundary.choose = away_after_the_post, fault
            account.set_target(MISSING, f"{endpoint.url}/a", delivery=mode)
            account.set_target(MISSING, f"{endpoint.url}/b", delivery=mode)
            body = missed(account.alias, f"sp-{outage.seconds}")
            world.send(body)
            world.settle()

            posts = [(post.webhook_id, post.status) for post in world.received]
            assert len(posts) == len(set(posts)), "an attempt was made twice"
            ended = {"delivered"} if status == 200 or mode is DeliveryMode.RETRY else {"delivered", "failed"}
            assert {state for state, _ in states(account)} <= ended
            assert len(states(account)) == 2 * (1 if outage.seconds == 6 else 2)
