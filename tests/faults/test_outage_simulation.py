"""A simulated day of many servers with true misses, a blocked queue, a gap of missed_backups and random kills.

Every true miss is reported, no false one is, and none is posted twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.events.messages import BackupRecovered, EventType, Message, parse_message
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.schedules.quartz import QuartzCron
from backup_webhooks.targets.target import Target

from local.receiver import Receiver
from tests.faults.customers import HOUR, MINUTE
from tests.faults.invariants import no_claim_was_posted_twice, nothing_that_was_recorded_was_posted_again
from tests.faults.test_random_worlds import seeds
from tests.support.policies import at, changed, every, finished, started
from tests.world.aws import Aws
from tests.world.boundary import Crossing, Fault
from tests.world.world import ACCOUNT, EVENTS, World

BEGIN = datetime(2018, 12, 3, tzinfo=UTC)
END = BEGIN + 14 * HOUR
SETTLED = END + 2 * HOUR
GRACE = timedelta(seconds=420)
SERVERS = 30
INTERVAL_HOURS = 3
MISS_RATE = 0.1
KILL_RATE = 0.003
BATCH_TAKES = timedelta(seconds=20)
# More than ten minutes between two ticks would be a gap.
BETWEEN_TICKS = timedelta(minutes=9)
# One in this many of the seeds that the environment asks for, as a day takes long.
OF_SEEDS = 20


def z(timestamp: datetime) -> str:
    return Timestamp.of(timestamp).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Servers:
    """The simulated servers. `truth`: the backups that are missed. `ended`: those that end. By policy and time."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.truth: set[tuple[str, datetime]] = set()
        self.ended: set[tuple[str, datetime]] = set()

    def messages(self) -> Iterator[tuple[datetime, Message]]:
        """Yield the messages of all servers, each with its time."""
        for number in range(SERVERS):
            yield from self._chance.choice([self._cron_server, self._interval_server])(f"policy-{number}")

    def _cron_server(self, policy_id: str) -> Iterator[tuple[datetime, Message]]:
        expression = f"0 {self._chance.randrange(60)} 0/{INTERVAL_HOURS} * * ?"
        yield BEGIN, changed(z(BEGIN), server_policy_id=policy_id, backup_schedule=expression)
        cron = QuartzCron(expression)
        timestamp = BEGIN
        while (timestamp := cron.next_after(timestamp) or END) < END:
            yield from self._backup(policy_id, timestamp)

    def _interval_server(self, policy_id: str) -> Iterator[tuple[datetime, Message]]:
        interval = INTERVAL_HOURS * HOUR
        yield BEGIN, every(INTERVAL_HOURS, z(BEGIN), server_policy_id=policy_id)
        expected = BEGIN + interval
        while expected < END:
            end = expected
            for end, message in self._backup(policy_id, expected):
                yield end, message
            # If the backup did not run, the next one is due an interval later.
            expected = end + interval

    def _backup(self, policy_id: str, expected: datetime) -> Iterator[tuple[datetime, Message]]:
        """Yield one backup's messages, if any. Half of the backups that are missed start too late."""
        chance = self._chance
        if chance.random() < MISS_RATE:
            self.truth.add((policy_id, expected))
            if chance.random() < 0.5:
                return
            start = expected + timedelta(seconds=chance.randint(3601, 6000))
        elif chance.random() < 0.1:
            start = expected + timedelta(seconds=chance.randint(600, 3600))
        else:
            start = expected + timedelta(seconds=chance.randint(-240, 300))
        end = start + timedelta(minutes=chance.randint(1, 40))
        yield start, started(z(start), server_policy_id=policy_id)
        self.ended.add((policy_id, at(z(end))))
        yield end, finished(z(start), z(end), server_policy_id=policy_id)

    def ends(self, policy_id: str) -> list[datetime]:
        return [end for policy, end in self.ended if policy == policy_id]


def monitored(aws: Aws, endpoint: Receiver, chance: random.Random, begin: datetime) -> World:
    """Return a world that ticks from `begin` on, whose customer has a target for misses."""
    world = World(aws, endpoint, chance)
    world.now = world.tick_at = begin
    world.set_target(Target(ACCOUNT, [EventType.MISSING], f"{endpoint.url}/missing", format="detailed"))
    return world


def reported(world: World) -> dict[tuple[str, datetime], datetime]:
    """Return the time of each miss's first post. Misses after the end are left out: the servers send nothing then."""
    posts: dict[tuple[str, datetime], datetime] = {}
    for post in world.received:
        expected = at(str(post.body["expectedDate"]))
        if expected < END:
            posts.setdefault((post.body["serverPolicyId"], expected), post.at)
    return posts


def recovered(world: World) -> set[tuple[str, datetime]]:
    messages = map(parse_message, dict.fromkeys(world.sqs.accepted[EVENTS]))
    return {
        (message.server_policy_id, message.backup_finished_date)
        for message in messages
        if isinstance(message, BackupRecovered)
    }


def pause(world: World, begins: datetime, lasts: timedelta) -> None:
    """Keep the notifier from reading its queue for that long."""
    world.run(until=begins)
    world.paused.add("notifier")
    world.run(until=begins + lasts)
    world.paused.clear()


def some_seeds() -> list[int]:
    chosen = seeds()
    return chosen if len(chosen) <= 2 else chosen[::OF_SEEDS]


@pytest.mark.parametrize("seed", some_seeds())
def test_every_true_miss_is_reported_and_no_false_one(aws: Aws, endpoint: Receiver, seed: int) -> None:
    print(f"again: SEED={seed} .venv/bin/python -m pytest tests/faults/test_outage_simulation.py")
    chance = random.Random(seed)
    world, servers = monitored(aws, endpoint, chance, BEGIN), Servers(chance)
    world.to_say = sorted(servers.messages(), key=lambda pair: pair[0])
    world.pause, world.takes = lambda: BETWEEN_TICKS, BATCH_TAKES
    world.boundary.choose = lambda crossing: Fault.KILLED_AFTER if chance.random() < KILL_RATE else None

    pause(world, BEGIN + chance.uniform(1, 4) * HOUR, lasts=2 * HOUR)
    off = BEGIN + chance.uniform(6.5, 8) * HOUR
    world.run(until=off)
    watermark = WatermarkStore(world.aws.dynamodb(), "ServerPoliciesTable").load()
    judged_before_gap = watermark.as_of(world.now, GRACE) or BEGIN
    world.tick_at = None
    world.run(until=off + 3 * HOUR)
    world.tick_at = on_again = world.now
    world.run(until=SETTLED)

    assert not world.events.dead_letters
    no_claim_was_posted_twice(world)
    nothing_that_was_recorded_was_posted_again(world)
    first_posts, truth = reported(world), servers.truth
    assert set(first_posts) - truth == set(), "false misses"
    # A policy's first miss stands for all whose deadline passed in the gap.
    in_gap = [miss for miss in truth if judged_before_gap <= miss[1] + HOUR <= on_again + MINUTE]
    firsts = {min(other for other in in_gap if other[0] == miss[0]) for miss in in_gap}
    owed = (truth - set(in_gap)) | firsts
    assert owed - set(first_posts) == set(), "lost misses"
    assert len(truth) > 5
    recoveries = recovered(world)
    assert recoveries <= servers.ended, "recoveries that were none"
    assert {policy for policy, _ in recoveries} <= {policy for policy, _ in first_posts}
    # A success after a miss is sent as its recovery: at the latest the first one after the miss was reported.
    owed_recoveries = {
        (miss, min(later))
        for miss, reported_at in first_posts.items()
        if (later := [end for end in servers.ends(miss[0]) if end > reported_at])
    }
    lost = [
        (policy, expected)
        for (policy, expected), latest in owed_recoveries
        if not any((policy, end) in recoveries for end in servers.ends(policy) if expected + HOUR < end <= latest)
    ]
    assert lost == [], "lost recoveries"
    assert len(owed_recoveries) > 2


def test_a_start_just_within_the_hour_whose_consumer_is_killed_twice_is_no_false_alarm(
    aws: Aws, endpoint: Receiver
) -> None:
    world = monitored(aws, endpoint, random.Random(1), BEGIN + 17 * HOUR + 30 * MINUTE)
    world.pause = lambda: MINUTE if world.now > BEGIN + 17 * HOUR + 55 * MINUTE else 9 * MINUTE
    world.say(changed(z(BEGIN), server_policy_id="policy-0", backup_schedule="0 0 17 * * ?"))
    # Between two ticks, so that no heartbeat is in its batch.
    last_minute = BEGIN + 17 * HOUR + 59.5 * MINUTE
    world.run(until=last_minute)
    killed: list[Crossing] = []

    def kill_twice(crossing: Crossing) -> Fault | None:
        # The function reads the server policy only for a start here.
        if len(killed) == 2 or crossing.function != "notifier" or crossing.operation != "GetItem":
            return None
        killed.append(crossing)
        return Fault.KILLED_BEFORE

    world.say(started(z(last_minute), server_policy_id="policy-0"))
    world.boundary.choose = kill_twice
    world.run(until=BEGIN + 18 * HOUR + 15 * MINUTE)

    assert len(killed) == 2
    assert world.received == []
    policy = ServerPoliciesStore(world.aws.dynamodb(), "ServerPoliciesTable").load("TEST", "policy-0")
    assert policy.expected_at == BEGIN + 41 * HOUR
