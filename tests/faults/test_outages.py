"""Outages of hours: a start in one is known before it is judged, unless its message is in the dead-letter queue."""

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
# It starts in time and runs for the whole test, so only its start shows that it exists.
RUNNING = Server("server", BEGIN + 5 * MINUTE, STARTED)


def with_outage(aws: Aws, endpoint: Receiver, lasts: timedelta, function: str | None) -> World:
    """Return a world in which all calls of a function (None: of all functions) fail from just before the start."""
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
def test_a_start_in_an_outage_is_not_reported_as_missed(
    aws: Aws, endpoint: Receiver, lasts: timedelta, function: str | None
) -> None:
    world = with_outage(aws, endpoint, lasts, function)

    assert list(misses(world)) == []
    assert world.queues[EVENTS].dead_letters == []


def test_after_five_hours_the_start_is_a_dead_letter_and_the_miss_is_reported(aws: Aws, endpoint: Receiver) -> None:
    world = with_outage(aws, endpoint, 5 * HOUR + MINUTE, None)

    (dead,) = world.queues[EVENTS].dead_letters
    assert isinstance(parse_message(dead), BackupStarted)
    assert [miss.expected_date for miss in misses(world)] == [RUNNING.expected_at]
