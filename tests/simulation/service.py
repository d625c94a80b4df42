"""The product's own recorder, detector and watermark, with stores and a queue in memory, on a virtual clock."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from typing import Any

from backup_webhooks.aws.errors import Conflict
from backup_webhooks.events.messages import (
    BackupMissed,
    BackupStale,
    BackupUnfinished,
    Heartbeat,
    parse_message,
)
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.events.timestamps import iso_milliseconds
from backup_webhooks.monitoring.detector import Detector, TickResult
from backup_webhooks.monitoring.items import SHARDS, policy_item, tracked_policy
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.monitoring.watermark import Watermark
from msgspec.structs import replace

from tests.simulation.messages import message_of
from tests.simulation.oracle import MINUTE, NEVER_BEFORE, Fact, Kind, Received, Report, Tick

# HEARTBEAT_GRACE_SECONDS of the template.
GRACE = timedelta(seconds=420)
# Ticks come each minute. Where none can report anything, the scheduler leaves some out, which is no gap yet.
WHILE_DUE, WHILE_IDLE = MINUTE, 5 * MINUTE
# A backlog is received in any order, and within this time, as the notifier runs in many environments.
BACKLOG_TAKES = 5 * MINUTE
# The watermark waits so long for a message whose consumers are killed.
AWAITED = 2 * 3 * MINUTE + 30 * timedelta(seconds=1)
_SECOND = timedelta(seconds=1)


class PoliciesInMemory:
    """A `ServerPoliciesStore` without DynamoDB. Its index `due` has the items' attributes, as the real one."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self._index: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)

    def load(self, account: str, server_policy_id: str) -> TrackedPolicy:
        item = self._items.get((account, server_policy_id))
        return tracked_policy(item) if item else TrackedPolicy(account, server_policy_id)

    def save(self, tracked: TrackedPolicy) -> None:
        key = tracked.account, tracked.server_policy_id
        before = self._items.get(key, {})
        if before.get("revision", 0) != tracked.revision:
            raise Conflict(tracked.server_policy_id)
        item = self._items[key] = policy_item(replace(tracked, revision=tracked.revision + 1))
        self._index[before.get("dueShard", 0)].pop(key, None)
        if "dueShard" in item and "deadline" in item:
            self._index[item["dueShard"]][key] = item["deadline"]

    def change(
        self, account: str, server_policy_id: str, change: Callable[[TrackedPolicy], TrackedPolicy]
    ) -> TrackedPolicy:
        before = self.load(account, server_policy_id)
        after = change(before)
        if after != before:
            self.save(after)
        return after

    def due(self, shard: int, as_of: datetime) -> Iterator[Sequence[TrackedPolicy]]:
        due = sorted((deadline, key) for key, deadline in self._index[shard].items() if deadline < _text(as_of))
        if due:
            yield [self.load(*key) for _, key in due]

    def has_due(self, shard: int, as_of: datetime) -> bool:
        return any(deadline < _text(as_of) for deadline in self._index[shard].values())


# Each tick compares the same one with all deadlines.
_text = lru_cache(maxsize=16)(iso_milliseconds)


@dataclass
class WatermarkInMemory:
    """A `WatermarkStore` without DynamoDB."""

    stored: Watermark = field(default_factory=Watermark)

    def load(self) -> Watermark:
        return self.stored

    def save_tick(self, watermark: Watermark, read: frozenset[datetime] = frozenset()) -> None:
        self.stored = replace(watermark, read=self.stored.read - read)

    def record_read(self, sent_at: datetime) -> None:
        self.stored = replace(self.stored, read=self.stored.read | {sent_at})


class SqsInMemory:
    """The two calls of SQS by which messages are sent. Each body is passed to `on_sent`."""

    def __init__(self, on_sent: Callable[[str], None]) -> None:
        self._on_sent = on_sent

    def send_message(self, *, QueueUrl: str, MessageBody: str, **_: Any) -> None:
        self._on_sent(MessageBody)

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        for entry in Entries:
            self._on_sent(entry["MessageBody"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@dataclass
class OneThread(Executor):
    """Judges each shard at once, in the calling thread. Where nothing is due, it knows the result."""

    policies: PoliciesInMemory
    nothing: Future[Any] = field(default_factory=lambda: _done(TickResult()))

    def submit(self, judge: Callable[..., Any], shard: int, judgement: Any) -> Future[Any]:  # type: ignore[override]
        return _done(judge(shard, judgement)) if self.policies.has_due(shard, judgement.as_of) else self.nothing


def _done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


@dataclass(frozen=True)
class Copy:
    """A copy of a message on the queue. It is received at `arrives_at`, unless the notifier is off."""

    policy_id: str
    fact: Fact
    sent_at: datetime
    arrives_at: datetime


@dataclass(frozen=True)
class Outage:
    """A time in which a function does not run."""

    begins: datetime
    ends: datetime

    def has(self, timestamp: datetime) -> bool:
        return self.begins <= timestamp < self.ends


class Service:
    """The notifier's recorder and missed_backups on a queue that holds the copies.

    `received` and `reports`: by policy; a report with the place of its tick in `ticks`. `overtaken`: messages that were
    recorded after a tick had judged as of a time when they were on the queue already.
    """

    def __init__(
        self,
        copies: Sequence[Copy],
        chance: random.Random,
        notifier_off: Sequence[Outage] = (),
        detector_off: Sequence[Outage] = (),
        idle: timedelta = WHILE_IDLE,
    ) -> None:
        self._chance, self._notifier_off, self._detector_off, self._idle = chance, notifier_off, detector_off, idle
        self._policies, self._watermarks = PoliciesInMemory(), WatermarkInMemory()
        events: Any = BackupEventsQueue(SqsInMemory(self._sent), "BackupEventsQueue")  # type: ignore[arg-type]
        stores: Any = {"policies": self._policies}
        self._recorder = Recorder(events=events, **stores)
        stores |= {"watermark_store": self._watermarks, "_threads": OneThread(self._policies)}
        self._detector = Detector(events=events, grace=GRACE, clock=lambda: self.ticks[-1].at, **stores)
        self._order = count()
        self._queue: list[tuple[datetime, int, Copy | datetime]] = []
        self.ticks: list[Tick] = []
        self.overtaken: list[Received] = []
        self._known: set[tuple[str, Fact]] = set()
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.reports: dict[str, list[tuple[int, Report]]] = defaultdict(list)
        for copy in copies:
            self._put(copy.arrives_at, copy)

    def run(self, begin: datetime, end: datetime) -> None:
        """Let the virtual time pass from `begin`, the first tick, to `end`."""
        now = begin
        while now <= end:
            self._receive_until(now)
            self._tick(now)
            is_due = any(self._policies.has_due(shard, now) for shard in range(SHARDS))
            now += WHILE_DUE if is_due and not _off(self._notifier_off, now) else self._idle
            while outage := _off(self._detector_off, now):
                now = outage.ends

    def _put(self, at: datetime, message: Copy | datetime) -> None:
        heapq.heappush(self._queue, (at, next(self._order), message))

    def _receive_until(self, now: datetime) -> None:
        while self._queue and self._queue[0][0] <= now:
            at, _, message = heapq.heappop(self._queue)
            if outage := _off(self._notifier_off, at):
                self._put(outage.ends + self._chance.random() * BACKLOG_TAKES, message)
            elif isinstance(message, datetime):
                self._watermarks.record_read(message)
            else:
                self._record(message, at)

    def _record(self, copy: Copy, at: datetime) -> None:
        received = Received(at, copy.sent_at, copy.fact)
        is_new = (copy.policy_id, copy.fact) not in self._known
        self._known.add((copy.policy_id, copy.fact))
        # The grace passes even while the notifier is off: the watermark does not wait for a message whose consumer was
        # killed just before an outage.
        longest = AWAITED if at == copy.arrives_at else MINUTE
        if is_new and copy.arrives_at - copy.sent_at < longest and self.ticks and copy.sent_at < self.ticks[-1].as_of:
            self.overtaken.append(received)
        self.received[copy.policy_id].append(received)
        self._recorder.record(message_of(copy.policy_id, copy.fact), copy.sent_at)

    def _tick(self, now: datetime) -> None:
        # The reports of this tick name its place.
        self.ticks.append(Tick(now, NEVER_BEFORE))
        self._detector.tick(now, now + MINUTE)
        as_of = self._watermarks.stored.as_of(now, GRACE)
        self.ticks[-1] = Tick(now, as_of or NEVER_BEFORE)

    def _sent(self, body: str) -> None:
        message = parse_message(body)
        if isinstance(message, Heartbeat):
            self._put(message.sent_date + self._chance.uniform(0.1, 30) * _SECOND, message.sent_date)
        elif isinstance(message, BackupMissed | BackupUnfinished | BackupStale):
            self.reports[message.server_policy_id].append((len(self.ticks) - 1, _report(message)))


def _report(message: BackupMissed | BackupUnfinished | BackupStale) -> Report:
    match message:
        case BackupMissed():
            return Report(Kind.MISSING, message.expected_date)
        case BackupUnfinished():
            return Report(Kind.UNFINISHED, message.backup_started_date)
        case BackupStale():
            return Report(Kind.STALE, message.since_date)


def _off(outages: Sequence[Outage], timestamp: datetime) -> Outage | None:
    return next((outage for outage in outages if outage.has(timestamp)), None)
