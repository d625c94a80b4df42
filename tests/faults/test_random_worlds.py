"""One account's morning, thousands of times: random faults by fixed seeds, kills and outages, and all invariants.

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
from tests.faults.customers import MINUTE, customers_changes, servers, targets, varied_targets
from tests.faults.invariants import assert_all, no_message_is_multiplied
from tests.world.aws import Aws
from tests.world.boundary import Crossing, Fault
from tests.world.world import BEGIN, RETRIES, World

SERVERS = 5
# No faults from then on. Misses are reported within 45 minutes, and all messages are read by then.
HEALTHY = BEGIN + 75 * MINUTE
REPORTED = HEALTHY + 45 * MINUTE
REDRIVEN = REPORTED + MINUTE
# All trouble is over by then, and the last reminder is due an hour later at most.
OVER = HEALTHY + 70 * MINUTE
END = OVER + 80 * MINUTE


@dataclass(frozen=True)
class Outage:
    """A time in which almost all calls fail: of one function or all, of one service or both."""

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
    """The faults of a world: a few at any time, and many more in outages."""

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
    """Run one world from beginning to end, check the invariants, and return it."""
    chance = random.Random(seed)
    world = World(aws, endpoint, chance)
    for target in (*targets(endpoint), *varied_targets(endpoint)):
        world.set_target(target)
    plans = customers_changes(chance, varied_targets(endpoint))
    its_servers = servers(chance, SERVERS)
    for server in its_servers:
        world.to_say += [(BEGIN - 2 * MINUTE, server.schedule), *server.says()]
    world.now = BEGIN - 5 * MINUTE
    world.tick_at = world.now
    # Ticks come each minute. Most are left out here, as each reads 16 shards. More than 10 minutes would be a gap.
    world.pause = lambda: timedelta(minutes=chance.uniform(7, 10))
    # With fewer receives, messages come to the dead-letter queue without hours of failures.
    world.queues[RETRIES].max_receives = chance.choice([3, world.queues[RETRIES].max_receives])
    weather = Weather(chance)
    refusals = chance.choice([0, 0.2, 0.6])
    world.answer = lambda path: 503 if chance.random() < refusals else 200
    world.boundary.choose = lambda crossing: weather.fault(crossing, world.now)
    for at, change in plans:
        world.run(until=at)
        change(world)
    world.run(until=HEALTHY)
    no_message_is_multiplied(world)

    world.boundary.choose = lambda crossing: None
    world.answer = lambda path: 200
    world.run(until=REPORTED)
    world.redrive()
    world.run(until=REDRIVEN)
    world.tick_at = None
    world.run(until=OVER)
    for server in its_servers:
        world.say(server.finished(OVER - 2 * MINUTE, OVER, BackupStatus.SUCCESS))
    world.repeated = 0
    world.run(until=END)
    for _ in range(3):
        # What stood still when the faults ended has stood still for hours by now.
        world.run(until=world.now + timedelta(hours=7))
        world.sweep()
    world.run(until=world.now + timedelta(hours=1))
    assert_all(world, its_servers)
    return world


def seeds() -> list[int]:
    """Return those that the environment asks for; by default, the first two."""
    if seed := os.environ.get("SEED"):
        return [int(seed)]
    first, _, end = os.environ.get("SEEDS", "2").rpartition(":")
    return list(range(int(first or 0), int(end)))


@pytest.mark.parametrize("seed", seeds())
def test_whatever_fails_no_event_is_lost_and_none_is_false(aws: Aws, endpoint: Receiver, seed: int) -> None:
    print(f"again: SEED={seed} .venv/bin/python -m pytest tests/faults/test_random_worlds.py")
    run(aws, endpoint, seed)


def test_a_seed_is_one_world(aws: Aws, endpoint: Receiver) -> None:
    once, again = (run(aws, endpoint, seed=7) for _ in range(2))

    assert once.boundary.calls == again.boundary.calls
    assert [(post.path, post.status) for post in once.received] == [(post.path, post.status) for post in again.received]
