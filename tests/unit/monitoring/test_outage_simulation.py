"""A virtual week of 200 servers with 1 % true misses: a blocked queue, a gap of missed_backups, kills at random.

Every true miss is told, no false one, and none is posted twice. The rule, the recorder and the ticks are the real
ones; stores and queue are in memory.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from backup_webhooks.events.messages import (
    BackupMissed,
    BackupRecovered,
    Heartbeat,
    Message,
    encode_message,
    parse_message,
)
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.monitoring.detector import Detector
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.schedules.quartz import QuartzCron

from tests.support.in_this_thread import InThisThread
from tests.support.memory import Killed, MemoryHeartbeats, MemoryPolicies, MemoryQueue
from tests.support.policies import at, changed, every, finished, started

BEGIN = datetime(2018, 12, 3, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
END = BEGIN + 7 * DAY
GRACE = timedelta(seconds=420)
SETTLED = END + 6 * HOUR
SERVERS = 200
MISS_RATE = 0.01
BATCHES_A_MINUTE = 3
KILL_RATE_A_BATCH = 0.02
KILL_RATE_A_STEP = 0.002


def z(timestamp: datetime) -> str:
    return Timestamp.of(timestamp).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class World:
    """Servers that back up, the queue, the functions, and what was posted."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = BEGIN
        self.fragile = False
        self.truth: set[tuple[str, datetime]] = set()
        self.posts: Counter[tuple[str, datetime]] = Counter()
        self.told: dict[tuple[str, datetime], datetime] = {}
        self.ended: set[tuple[str, datetime]] = set()
        self.recovered: set[tuple[str, datetime]] = set()
        self.queue = MemoryQueue(self.chance, lambda: self.now, self.maybe_killed)
        self.policies = MemoryPolicies(self.maybe_killed)
        self.heartbeats = MemoryHeartbeats()
        self.recorder = Recorder(
            self.policies,  # type: ignore[arg-type]
            BackupEventsQueue(self.queue, ""),  # type: ignore[arg-type]
        )
        self.missed_backups = Detector(
            policies=self.policies,  # type: ignore[arg-type]
            heartbeats=self.heartbeats,  # type: ignore[arg-type]
            sqs=self.queue,  # type: ignore[arg-type]
            queue_url="",
            grace=GRACE,
            clock=lambda: self.now,
            _threads=InThisThread(),
        )
        blocked = BEGIN + self.chance.uniform(1, 6) * DAY
        self.blocked = (blocked, blocked + 3 * HOUR)
        off = BEGIN + self.chance.uniform(1, 5.5) * DAY
        self.judged_before_gap = BEGIN
        self.off = (off, off + 26 * HOUR)

    def ends(self, policy_id: str) -> list[datetime]:
        return [end for policy, end in self.ended if policy == policy_id]

    def maybe_killed(self) -> None:
        if self.fragile and self.chance.random() < KILL_RATE_A_STEP:
            raise Killed

    # --- the servers ---

    def messages(self) -> list[tuple[datetime, Message]]:
        """All that the servers will say, in the order of time, and by the way the truth about their misses."""
        said: list[tuple[datetime, Message]] = []
        for number in range(SERVERS):
            policy_id = f"policy-{number}"
            kind = self.chance.choice(["daily", "six-hourly", "interval"])
            said += self.interval_server(policy_id) if kind == "interval" else self.cron_server(policy_id, kind)
        return sorted(said, key=lambda pair: pair[0])

    def cron_server(self, policy_id: str, kind: str) -> Iterator[tuple[datetime, Message]]:
        hours = str(self.chance.randrange(24)) if kind == "daily" else "0/6"
        expression = f"0 {self.chance.randrange(60)} {hours} * * ?"
        yield BEGIN, changed(z(BEGIN), server_policy_id=policy_id, backup_schedule=expression)
        cron = QuartzCron(expression)
        timestamp = BEGIN
        while (timestamp := cron.next_after(timestamp) or END) < END:
            yield from self.backup(policy_id, timestamp)

    def interval_server(self, policy_id: str) -> Iterator[tuple[datetime, Message]]:
        hours = self.chance.choice([6, 12, 24])
        yield BEGIN, every(hours, z(BEGIN), server_policy_id=policy_id)
        expected = BEGIN + timedelta(hours=hours)
        while expected < END:
            end = expected
            for end, message in self.backup(policy_id, expected):
                yield end, message
            if end == expected:  # it did not run at all: the next one is due an interval later
                expected += timedelta(hours=hours)
            else:
                expected = end + timedelta(hours=hours)

    def backup(self, policy_id: str, expected: datetime) -> Iterator[tuple[datetime, Message]]:
        """One backup's messages, or none; 1 % are missed, half of those start too late."""
        if self.chance.random() < MISS_RATE:
            self.truth.add((policy_id, expected))
            if self.chance.random() < 0.5:
                return
            start = expected + timedelta(seconds=self.chance.randint(3601, 9000))
        elif self.chance.random() < 0.1:
            start = expected + timedelta(seconds=self.chance.randint(600, 3600))
        else:
            start = expected + timedelta(seconds=self.chance.randint(-240, 300))
        end = start + timedelta(minutes=self.chance.randint(1, 50))
        yield start, started(z(start), server_policy_id=policy_id)
        self.ended.add((policy_id, at(z(end))))
        yield end, finished(z(start), z(end), server_policy_id=policy_id)

    # --- the functions ---

    def notify(self) -> None:
        """Read what a minute allows, so that a backlog takes a while; some batches are killed, and come again."""
        for _ in range(BATCHES_A_MINUTE):
            batch = self.queue.receive()
            if not batch:
                return
            dies_at = self.chance.randrange(len(batch)) if self.chance.random() < KILL_RATE_A_BATCH else None
            for position, message in enumerate(batch):
                if position == dies_at:
                    break
                self.handle(parse_message(message.body))
            else:
                for message in batch:
                    self.queue.delete(message)

    def handle(self, message: Message) -> None:
        match message:
            case Heartbeat():
                self.heartbeats.record_read(message.sent_date)
            case BackupMissed():
                # The claim: one attempt for one miss.
                # (After the end the servers are silent for want of a script, not by themselves.)
                if message.expected_date < END:
                    self.told.setdefault((message.server_policy_id, message.expected_date), self.now)
            case BackupRecovered():
                self.recovered.add((message.server_policy_id, message.backup_finished_date))
            case _:
                self.recorder.record(message)

    def tick(self) -> None:
        self.fragile = True
        try:
            self.missed_backups.tick(self.now, self.now + MINUTE)
        except Killed:
            pass
        finally:
            self.fragile = False

    def run(self) -> None:
        to_come = iter(self.messages())
        next_said = next(to_come)
        while self.now < SETTLED:
            while next_said is not None and next_said[0] <= self.now:
                self.queue.send_message(QueueUrl="", MessageBody=encode_message(next_said[1]))
                next_said = next(to_come, None)
            if not self.off[0] <= self.now < self.off[1]:
                self.tick()
                if self.now < self.off[0]:
                    as_of = self.heartbeats.watermark.as_of(self.now, GRACE)
                    self.judged_before_gap = as_of or self.judged_before_gap
            if not self.blocked[0] <= self.now < self.blocked[1]:
                self.notify()
            self.now += MINUTE


@pytest.mark.parametrize("seed", range(10))
def test_every_true_miss_is_told_and_no_false_one(seed: int) -> None:
    world = World(seed)

    world.run()

    assert world.queue.dead_letters == []
    told = set(world.told)
    assert told - world.truth == set(), f"false alarms, seed {seed}"
    # Of the misses whose deadline went by in the gap, a policy's first stands for all.
    in_gap = [miss for miss in world.truth if world.judged_before_gap <= miss[1] + HOUR <= world.off[1] + MINUTE]
    firsts = {min(other for other in in_gap if other[0] == miss[0]) for miss in in_gap}
    owed = (world.truth - set(in_gap)) | firsts
    assert owed - told == set(), f"lost misses, seed {seed}"
    assert len(world.truth) > 10
    assert world.recovered <= world.ended, f"recoveries that were none, seed {seed}"
    assert {policy for policy, _ in world.recovered} <= {policy for policy, _ in told}
    # Of a miss a success after it is told as the recovery: at the latest the first once it was told itself.
    owed_recoveries = {
        (miss, min(later))
        for miss, told_at in world.told.items()
        if (later := [end for end in world.ends(miss[0]) if end > told_at])
    }
    lost = [
        (policy, expected)
        for (policy, expected), latest in owed_recoveries
        if not any((policy, end) in world.recovered for end in world.ends(policy) if expected + HOUR < end <= latest)
    ]
    assert lost == [], f"lost recoveries, seed {seed}"
    assert len(owed_recoveries) > 5


def test_a_start_just_within_the_hour_whose_receiver_is_killed_is_no_false_alarm() -> None:
    world = World(0)
    world.recorder.record(changed(z(BEGIN), server_policy_id="policy-0", backup_schedule="0 0 17 * * ?"))
    last_minute = BEGIN + 17 * HOUR + 59 * MINUTE
    world.now = BEGIN + 16 * HOUR
    while world.now < BEGIN + 20 * HOUR:
        if world.now == last_minute:
            start = started(z(last_minute), server_policy_id="policy-0")
            world.queue.send_message(QueueUrl="", MessageBody=encode_message(start))
            assert len(world.queue.receive()) == 1  # and its receiver is killed: it comes again in 3 minutes
        world.missed_backups.tick(world.now, world.now + MINUTE)
        world.notify()
        world.now += MINUTE

    assert world.told == {}
    assert world.policies.items["policy-0"].expected_at == BEGIN + DAY + 17 * HOUR
