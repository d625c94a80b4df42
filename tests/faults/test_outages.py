"""Outages of hours: what began meanwhile is known before anybody judges it, as long as no message is given up."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from backup_webhooks.events.messages import BackupStarted, parse_message

from local.receiver import Receiver
from tests.faults.customers import HOUR, MINUTE, Server, targets
from tests.faults.invariants import misses
from tests.world.aws import Aws
from tests.world.boundary import Fault
from tests.world.world import BEGIN, EVENTS, World

STARTED = BEGIN + 6 * MINUTE
# In time, and for the whole of the test it goes on: nothing but its start tells that it is there.
RUNNING = Server("server", BEGIN + 5 * MINUTE, STARTED)


def with_outage(aws: Aws, endpoint: Receiver, lasts: timedelta, function: str | None) -> World:
    """A world in which nothing of the function's (None: of all of them) has worked since just before the start."""
    world = World(aws, endpoint, random.Random(1))
    world.repeated = 0
    for target in targets(endpoint):
        world.set_target(target)
    world.to_say = [(BEGIN - 20 * MINUTE, RUNNING.schedule), *RUNNING.says()]
    world.now = world.tick_at = BEGIN - 15 * MINUTE
    world.pause = lambda: 10 * MINUTE
    begins, ends = STARTED - MINUTE, STARTED + lasts
    world.boundary.choose = lambda crossing: (
        Fault.ERROR if begins <= world.now < ends and function in (None, crossing.function) else None
    )
    world.run(until=ends + HOUR + 40 * MINUTE)
    return world


@pytest.mark.parametrize(
    ("lasts", "function"),
    [(13 * MINUTE, "notifier"), (13 * MINUTE, None), (90 * MINUTE, "notifier"), (4 * HOUR + 56 * MINUTE, None)],
)
def test_what_began_in_an_outage_is_not_told_as_missed(
    aws: Aws, endpoint: Receiver, lasts: timedelta, function: str | None
) -> None:
    world = with_outage(aws, endpoint, lasts, function)

    assert list(misses(world)) == []
    assert world.queues[EVENTS].dead_letters == []


def test_after_five_hours_its_start_is_in_the_dead_letters_and_it_is(aws: Aws, endpoint: Receiver) -> None:
    world = with_outage(aws, endpoint, 5 * HOUR + MINUTE, None)

    (dead,) = world.queues[EVENTS].dead_letters
    assert isinstance(parse_message(dead), BackupStarted)
    assert [miss.expected_date for miss in misses(world)] == [RUNNING.expected_at]
