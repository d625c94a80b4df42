"""A morning of one account, thousandfold: faults at random by fixed seeds, kills, outages, and what holds all the same.

`SEEDS=1000` runs as many worlds, `SEEDS=500:1000` the second half of them, `SEED=17` that one.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from backup_webhooks.events.messages import BackupStatus

from local.receiver import Receiver
from tests.faults.customers import MINUTE, servers, targets
from tests.faults.invariants import assert_all
from tests.world.aws import Aws
from tests.world.boundary import Crossing, Fault
from tests.world.world import BEGIN, RETRIES, World

SERVERS = 5
# From then on nothing fails any more. What was missed is told within 45 minutes, with whatever is still to be read.
HEALTHY = BEGIN + 75 * MINUTE
TOLD = HEALTHY + 45 * MINUTE
REDRIVEN = TOLD + MINUTE
# Whatever went wrong is over by then, and the last reminder due by an hour later.
OVER = HEALTHY + 70 * MINUTE
END = OVER + 80 * MINUTE


@dataclass(frozen=True)
class Outage:
    """A time in which almost nothing works: of all functions or one, of both services or one."""

    begins: datetime
    ends: datetime
    function: str | None
    service: str | None

    def covers(self, crossing: Crossing, now: datetime) -> bool:
        return (
            self.begins <= now < self.ends
            and self.function in (None, crossing.function)
            and self.service in (None, crossing.service)
        )


class Weather:
    """What fails in a world: some of all, and much more in outages."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._rate = chance.choice([0.003, 0.01, 0.02, 0.04])
        self._kinds = chance.sample(list(Fault), chance.randint(1, len(Fault)))
        self._outages = [self._outage() for _ in range(chance.choice([0, 1, 1, 2]))]

    def _outage(self) -> Outage:
        chance = self._chance
        begins = BEGIN + timedelta(minutes=chance.uniform(-5, 65))
        return Outage(
            begins,
            min(begins + timedelta(minutes=chance.choice([2, 10, 20, 40])), HEALTHY),
            chance.choice([None, None, "notifier", "redeliverer", "missed_backups"]),
            chance.choice([None, "dynamodb", "dynamodb", "sqs"]),
        )

    def fault(self, crossing: Crossing, now: datetime) -> Fault | None:
        if any(outage.covers(crossing, now) for outage in self._outages):
            return self._chance.choice([Fault.ERROR] * 60 + [Fault.THROTTLED, Fault.CUT, Fault.ERROR_AFTER, None])
        return self._chance.choice(self._kinds) if self._chance.random() < self._rate else None


def run(aws: Aws, endpoint: Receiver, seed: int) -> World:
    """One world from its beginning to its end, and what must hold then."""
    chance = random.Random(seed)
    world = World(aws, endpoint, chance)
    for target in targets(endpoint):
        world.set_target(target)
    its_servers = servers(chance, SERVERS)
    for server in its_servers:
        world.to_say += [(BEGIN - 2 * MINUTE, server.schedule), *server.says()]
    world.now = BEGIN - 5 * MINUTE
    world.tick_at = world.now
    # Ticks come each minute; most are left out here, for each asks 16 shards. More than 10 minutes would be a gap.
    world.pause = lambda: timedelta(minutes=chance.uniform(7, 10))
    # So that there are dead letters to put back, which take hours of failing otherwise.
    world.queues[RETRIES].max_receives = chance.choice([3, world.queues[RETRIES].max_receives])
    weather = Weather(chance)
    refusals = chance.choice([0, 0.2, 0.6])
    world.answer = lambda path: 503 if chance.random() < refusals else 200
    world.boundary.choose = lambda crossing: weather.fault(crossing, world.now)
    world.run(until=HEALTHY)

    world.boundary.choose = lambda crossing: None
    world.answer = lambda path: 200
    world.run(until=TOLD)
    world.redrive()
    world.run(until=REDRIVEN)
    world.tick_at = None
    world.run(until=OVER)
    for server in its_servers:
        world.say(server.finished(OVER - 2 * MINUTE, OVER, BackupStatus.SUCCESS))
    world.repeated = 0
    world.run(until=END)
    assert_all(world, its_servers)
    return world


def seeds() -> list[int]:
    """Return those that the environment asks for; by default, the first two."""
    if seed := os.environ.get("SEED"):
        return [int(seed)]
    first, _, end = os.environ.get("SEEDS", "2").rpartition(":")
    return list(range(int(first or 0), int(end)))


@pytest.mark.parametrize("seed", seeds())
def test_whatever_fails_nothing_is_lost_and_nothing_is_told_that_is_not_so(
    aws: Aws, endpoint: Receiver, seed: int
) -> None:
    print(f"again: SEED={seed} .venv/bin/python -m pytest tests/faults/test_random_worlds.py")
    run(aws, endpoint, seed)


def test_a_seed_is_one_world(aws: Aws, endpoint: Receiver) -> None:
    once, again = (run(aws, endpoint, seed=7) for _ in range(2))

    assert once.boundary.calls == again.boundary.calls
    assert [(post.path, post.status) for post in once.received] == [(post.path, post.status) for post in again.received]
