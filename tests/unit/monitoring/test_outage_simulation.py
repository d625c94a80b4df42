"""A simulated week of 200 servers with 1 % true misses, a blocked queue, a gap of missed_backups and random kills.

Every true miss is reported, no false one is, and none is posted twice. The rule, the recorder and the detector are the
real ones. The stores and the queue are in memory.
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

from tests.world.threads import InThisThread
from tests.support.memory import Killed, MemoryPolicies, MemoryQueue, MemoryWatermarkStore
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
    """The servers, the queue, the functions, and the posts."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = BEGIN
        self.fragile = False
        self.truth: set[tuple[str, datetime]] = set()
        self.posts: Counter[tuple[str, datetime]] = Counter()
        self.reported: dict[tuple[str, datetime], datetime] = {}
        self.ended: set[tuple[str, datetime]] = set()
        self.recovered: set[tuple[str, datetime]] = set()
        self.queue = MemoryQueue(self.chance, lambda: self.now, self.maybe_killed)
        self.policies = MemoryPolicies(self.maybe_killed)
        self.watermark_store = MemoryWatermarkStore()
        self.recorder = Recorder(
            self.policies,  # type: ignore[arg-type]
            BackupEventsQueue(self.queue, ""),  # type: ignore[arg-type]
        )
        self.missed_backups = Detector(
            policies=self.policies,  # type: ignore[arg-type]
            watermark_store=self.watermark_store,  # type: ignore[arg-type]
            events=BackupEventsQueue(self.queue, ""),  # type: ignore[arg-type]
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
        """Return all messages of the servers by time, and record the true misses."""
        messages: list[tuple[datetime, Message]] = []
        for number in range(SERVERS):
            policy_id = f"policy-{number}"
            kind = self.chance.choice(["daily", "six-hourly", "interval"])
            messages += self.interval_server(policy_id) if kind == "interval" else self.cron_server(policy_id, kind)
        return sorted(messages, key=lambda pair: pair[0])

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
            if end == expected:  # It did not run, so the next one is due an interval later.
                expected += timedelta(hours=hours)
            else:
                expected = end + timedelta(hours=hours)

    def backup(self, policy_id: str, expected: datetime) -> Iterator[tuple[datetime, Message]]:
        """Yield one backup's messages, if any. 1 % of the starts are missed; half of these backups start too late."""
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
        """Read three batches, so that a backlog takes a while. Some batches are killed and come again."""
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
                self.watermark_store.record_read(message.sent_date)
            case BackupMissed():
                # `setdefault` stands for the claim: one attempt for one miss. Misses after the end are not counted, as
                # the simulated servers send nothing then.
                if message.expected_date < END:
                    self.reported.setdefault((message.server_policy_id, message.expected_date), self.now)
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
        next_message = next(to_come)
        while self.now < SETTLED:
            while next_message is not None and next_message[0] <= self.now:
                self.queue.send_message(QueueUrl="", MessageBody=encode_message(next_message[1]))
                next_message = next(to_come, None)
            if not self.off[0] <= self.now < self.off[1]:
                self.tick()
                if self.now < self.off[0]:
                    as_of = self.watermark_store.watermark.as_of(self.now, GRACE)
                    self.judged_before_gap = as_of or self.judged_before_gap
            if not self.blocked[0] <= self.now < self.blocked[1]:
                self.notify()
            self.now += MINUTE


@pytest.mark.parametrize("seed", range(10))
def test_every_true_miss_is_reported_and_no_false_one(seed: int) -> None:
    world = World(seed)

    world.run()

    assert world.queue.dead_letters == []
    reported = set(world.reported)
    assert reported - world.truth == set(), f"false alarms, seed {seed}"
    # A policy's first miss stands for all whose deadline passed in the gap.
    in_gap = [miss for miss in world.truth if world.judged_before_gap <= miss[1] + HOUR <= world.off[1] + MINUTE]
    firsts = {min(other for other in in_gap if other[0] == miss[0]) for miss in in_gap}
    owed = (world.truth - set(in_gap)) | firsts
    assert owed - reported == set(), f"lost misses, seed {seed}"
    assert len(world.truth) > 10
    assert world.recovered <= world.ended, f"recoveries that were none, seed {seed}"
    assert {policy for policy, _ in world.recovered} <= {policy for policy, _ in reported}
    # A success after a miss is sent as its recovery: at the latest the first one after the miss was reported.
    owed_recoveries = {
        (miss, min(later))
        for miss, reported_at in world.reported.items()
        if (later := [end for end in world.ends(miss[0]) if end > reported_at])
    }
    lost = [
        (policy, expected)
        for (policy, expected), latest in owed_recoveries
        if not any((policy, end) in world.recovered for end in world.ends(policy) if expected + HOUR < end <= latest)
    ]
    assert lost == [], f"lost recoveries, seed {seed}"
    assert len(owed_recoveries) > 5


def test_a_start_just_within_the_hour_whose_consumer_is_killed_is_no_false_alarm() -> None:
    world = World(0)
    world.recorder.record(changed(z(BEGIN), server_policy_id="policy-0", backup_schedule="0 0 17 * * ?"))
    last_minute = BEGIN + 17 * HOUR + 59 * MINUTE
    world.now = BEGIN + 16 * HOUR
    while world.now < BEGIN + 20 * HOUR:
        if world.now == last_minute:
            start = started(z(last_minute), server_policy_id="policy-0")
            world.queue.send_message(QueueUrl="", MessageBody=encode_message(start))
            assert len(world.queue.receive()) == 1  # Its consumer is killed, so it comes again in 3 minutes.
        world.missed_backups.tick(world.now, world.now + MINUTE)
        world.notify()
        world.now += MINUTE

    assert world.reported == {}
    assert world.policies.items["policy-0"].expected_at == BEGIN + DAY + 17 * HOUR
