"""Small mornings, each with few calls: short enough to let each of them fail in each way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backup_webhooks.events.messages import BackupStatus, EventType

from tests.faults.customers import HOUR, MINUTE, Server, targets
from tests.faults.world import BEGIN, EXHAUSTED, World

NEVER_STARTED = Server("silent", BEGIN + 2 * MINUTE)
BACKED_UP = Server("server", BEGIN + 2 * MINUTE)


@dataclass(frozen=True)
class Scenario:
    """`prepare` before any fault, and `go` with it; `servers`: of whose misses something is to be said.

    `posts`: how many there are where nothing fails.
    """

    prepare: Callable[[World], None]
    go: Callable[[World], None]
    posts: int
    servers: Sequence[Server] = ()


def _set(world: World, event: EventType, place: int = 0) -> None:
    (target,) = (one for one in targets(world.receiver) if one.event_type is event and f"/{event}/{place}/" in one.url)
    world.set_target(target)


def _end(world: World, status: BackupStatus) -> None:
    world.say(BACKED_UP.finished(world.now - MINUTE, world.now, status))


def _refusing_once(world: World) -> None:
    _set(world, EventType.FAILURE)
    statuses = iter([503])
    world.answer = lambda path: next(statuses, 200)


def _refusing(world: World) -> None:
    _set(world, EventType.FAILURE)
    world.answer = lambda path: 503


def _giving_up(world: World) -> None:
    """Until the delivery stands in the dead letters; put back, it is made."""
    _end(world, BackupStatus.FAILED)
    world.run(world.now + 2 * HOUR)
    # However often it was put there, it is one attempt: the next.
    assert {json.loads(body)["attempt"] for body in world.queues[EXHAUSTED].bodies} == {5}
    world.answer = lambda path: 200
    world.redrive()
    world.run(world.now + HOUR)


def _failing(world: World) -> None:
    _end(world, BackupStatus.FAILED)
    world.run(world.now + HOUR)


def _gathering(world: World) -> None:
    _set(world, EventType.SUCCESS)


def _succeeding(world: World) -> None:
    _end(world, BackupStatus.SUCCESS)
    world.run(world.now + HOUR)


def _reminding(world: World) -> None:
    _set(world, EventType.FAILURE, 1)


def _failing_for_an_hour(world: World) -> None:
    _end(world, BackupStatus.FAILED)
    world.run(world.now + 85 * MINUTE)
    _end(world, BackupStatus.SUCCESS)
    world.run(world.now + 2 * HOUR)


def _recovering(world: World) -> None:
    for status in (BackupStatus.FAILED, BackupStatus.SUCCESS):
        _end(world, status)
        world.run(world.now + HOUR)


def _telling_of_recoveries(world: World) -> None:
    _set(world, EventType.RECOVERED)


def _unheard_of(world: World) -> None:
    """Until a tick finds the miss: its first heartbeat was seen long enough."""
    _set(world, EventType.MISSING)
    world.say(NEVER_STARTED.schedule)
    world.pause = lambda: 8 * MINUTE
    world.tick_at = BEGIN + 63 * MINUTE
    world.run(until=BEGIN + 79 * MINUTE)
    assert world.tick_at == world.now


def _judging(world: World) -> None:
    """Two ticks: what the first can't do, the second does."""
    world.run(until=world.now + 9 * MINUTE)
    world.tick_at = None
    world.run(until=world.now + HOUR)


SCENARIOS = {
    "a failure that is retried": Scenario(_refusing_once, _failing, posts=2),
    "a failure that is given up and put back": Scenario(_refusing, _giving_up, posts=5),
    "a success that is gathered": Scenario(_gathering, _succeeding, posts=1),
    "a failure that is reminded of": Scenario(_reminding, _failing_for_an_hour, posts=2),
    "a recovery": Scenario(_telling_of_recoveries, _recovering, posts=1),
    "a miss": Scenario(_unheard_of, _judging, posts=1, servers=[NEVER_STARTED]),
}
