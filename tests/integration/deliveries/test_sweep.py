"""Every state ends: what stands still is found and settled, with what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.targets.preferences import Preferences
from backup_webhooks.targets.target import DeliveryMode

from local.receiver import Receiver
from tests.integration.conftest import Account, Handler
from tests.support.messages import Context, missed
from tests.world.boundary import Crossing, Fault
from tests.world.world import RETRIES, World

MISSING = EventType.MISSING
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OK, UNAVAILABLE = 200, 503


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    with Receiver() as receiver:
        receiver.on_post = world._on_post
        yield receiver


def kill_once(world: World, function: str, service: str) -> None:
    """Kill the function after its next call of that service."""
    killed: list[Crossing] = []

    def choose(crossing: Crossing) -> Fault | None:
        if killed or (crossing.function, crossing.service) != (function, service):
            return None
        killed.append(crossing)
        return Fault.KILLED_AFTER

    world.boundary.choose = choose


def state(account: Account) -> tuple[str, str | None]:
    (entry,) = account.deliveries()
    return entry["state"], entry.get("error")


def after_hours(world: World, hours: int = 7) -> None:
    world.run(until=world.now + hours * HOUR)


def test_a_post_whose_result_is_not_known_is_settled_once_its_target_was_removed(
    account: Account, world: World, receiver: Receiver
) -> None:
    """The function was killed after the POST, and its message finds no target any more."""
    target = account.set_target(MISSING, receiver.url)
    world.send(missed(account.alias))
    kill_once(world, "notifier", "endpoint")
    world.run(until=world.now + MINUTE)
    account.remove(target)
    after_hours(world)
    assert state(account) == ("claimed", None)

    world.sweep()

    assert state(account) == ("failed", "interrupted, may have arrived: the result of its POST is not known")
    assert len(world.received) == 1


def test_a_retry_whose_target_was_removed_says_that_it_may_have_arrived(
    account: Account, world: World, receiver: Receiver
) -> None:
    """Not that it was not attempted: the function was killed after the POST of the retry."""
    world.answer = lambda path: UNAVAILABLE if not world.received else OK
    target = account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
    world.send(missed(account.alias))
    kill_once(world, "redeliverer", "endpoint")
    world.run(until=world.now + MINUTE)
    assert [post.status for post in world.received] == [UNAVAILABLE, OK]
    account.remove(target)
    world.settle()

    assert state(account) == ("failed", "interrupted, may have arrived: the target was removed")


@pytest.mark.parametrize("lost", [1, 2])
def test_a_retry_whose_message_is_lost_is_sent_anew_once_and_then_given_up(
    account: Account, world: World, receiver: Receiver, lost: int
) -> None:
    world.answer = lambda path: UNAVAILABLE if not world.received else OK
    account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
    world.send(missed(account.alias))
    world.run(until=world.now + timedelta(seconds=1))
    for _ in range(lost):
        assert state(account)[0] == "retrying"
        world.retries.messages.clear()
        after_hours(world)
        for _ in range(2):
            world.sweep()
    world.settle()

    expected = ("delivered", None) if lost == 1 else ("failed", "not attempted: its retry was lost")
    assert state(account) == expected
    assert sum(account.alias in body for body in world.sqs.accepted[RETRIES]) == 2


def test_a_grouped_event_whose_message_was_never_sent_is_sent(
    account: Account, world: World, receiver: Receiver
) -> None:
    """The function was killed between the two, and its message is a dead letter."""
    account.set_target(MISSING, receiver.url, preferences=Preferences(group=True))
    world.send(missed(account.alias))

    def choose(crossing: Crossing) -> Fault | None:
        return Fault.KILLED_BEFORE if (crossing.function, crossing.service) == ("notifier", "sqs") else None

    world.boundary.choose = choose
    after_hours(world)
    assert world.events.dead_letters
    assert state(account)[0] == "grouped"
    world.boundary.choose = lambda crossing: None

    for _ in range(2):
        world.sweep()
        world.settle()

    assert len(world.received) == 1


def test_what_is_on_its_way_does_not_stand_still(account: Account, world: World, receiver: Receiver) -> None:
    world.answer = lambda path: UNAVAILABLE
    account.set_target(MISSING, receiver.url, delivery=DeliveryMode.RETRY)
    account.set_target(MISSING, f"{receiver.url}/group", preferences=Preferences(group=True))
    for number in range(3):
        world.send(missed(account.alias, f"sp-{number}"))
    world.run(until=world.now + 2 * HOUR)
    sent = [body for body in world.sqs.accepted[RETRIES] if account.alias in body]
    with_sweeps = {entry["delivery"]: entry["state"] for entry in account.deliveries()}
    for _ in range(3):
        world.sweep()
    assert [body for body in world.sqs.accepted[RETRIES] if account.alias in body] == sent
    assert {entry["delivery"]: entry["state"] for entry in account.deliveries()} == with_sweeps


def test_a_large_log_is_swept_a_part_at_a_time(account: Account, world: World, receiver: Receiver) -> None:
    """Each page of two items takes 12 s here."""
    target = account.set_target(MISSING, receiver.url)
    kill_once(world, "notifier", "endpoint")
    for number in range(5):
        kill_once(world, "notifier", "endpoint")
        world.send(missed(account.alias, f"sp-{number}"))
        world.run(until=world.now + MINUTE)
    account.remove(target)
    after_hours(world)
    standing = world.functions.redeliverer.sweep.standing
    scan = standing.deliveries.client.scan

    def slow_scan(**query: object) -> object:
        world.now += timedelta(seconds=12)
        return scan(**query, Limit=2)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standing.deliveries.client, "scan", slow_scan)
        swept = []
        while (position := standing.position()) or not swept:
            swept.append(world.sweep())
            assert len(swept) < 10_000, position

    assert sum(number or 0 for number in swept) >= 5
    assert len(swept) > 1
    assert {entry["state"] for entry in account.deliveries()} == {"failed"}


def test_the_function_sweeps_by_its_schedule(
    account: Account, world: World, receiver: Receiver, handler_of: Callable[..., Handler]
) -> None:
    target = account.set_target(MISSING, receiver.url)
    world.send(missed(account.alias))
    kill_once(world, "notifier", "endpoint")
    world.run(until=world.now + MINUTE)
    account.remove(target)

    # Months later, by the function's own clock.
    answer = handler_of("redeliverer")({"time": "2018-12-20T18:00:00Z"}, Context())

    assert answer["stoodStill"] >= 1
    assert state(account)[0] == "failed"
