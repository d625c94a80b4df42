"""One customer's endpoint hangs on hundreds of events: the latency of another customer's posts, in virtual time.

Environments of both functions take batches as Lambda does. Each is busy until the slowest message of its batch is done.
All of the code is real, except that a POST takes virtual time and the queues are in memory.
"""

from __future__ import annotations

import heapq
import json
import statistics
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backup_webhooks.events.messages import EventType
from backup_webhooks.posting.sender import AttemptResult, Sender

from local.stack import Stack
from tests.integration.conftest import Account, new_account
from tests.support.messages import missed
from tests.world.aws import Aws
from tests.world.boundary import Killed
from tests.world.queues import MemoryQueue
from tests.world.world import World

MISSING = EventType.MISSING
# Lambda starts with five batches of a queue at once.
NOTIFIERS, REDELIVERERS = 5, 5
BATCH = 10
TIMEOUT = timedelta(seconds=30)
HANGING, GOOD = 400, 150
GOOD_URL, HANGING_URL = "https://good.example/", "https://hangs.example/"
SECONDS_BETWEEN = 0.2
# A batch takes this long before its POSTs, to be received, read targets and claim.
OVERHEAD = timedelta(milliseconds=40)
QUICK = AttemptResult(200, None, b"", 50)
HUNG = AttemptResult(None, "no complete answer in time", b"", 10_000)


@dataclass
class Simulation:
    """Advances the world's clock from event to event, but only while all of its threads sleep."""

    world: World
    posted_at: dict[str, list[datetime]] = field(default_factory=dict)
    _agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _entries: int = 0
    _running: int = 0
    _over: bool = False
    _sleepers: list[threading.Event] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(200))

    def at(self, timestamp: datetime, what: Callable[[], None]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (timestamp, self._entries, what))

    def start(self, work: Callable[[], None]) -> Future[None]:
        """Run the work in a thread. Time stands still until it ends or calls `sleep`."""
        with self._changed:
            self._running += 1

        def run() -> None:
            try:
                work()
            finally:
                self._count(-1)

        return self._threads.submit(run)

    def sleep(self, span: timedelta) -> None:
        woken = threading.Event()

        def wake() -> None:
            self._count(1)
            woken.set()

        with self._changed:
            self.at(self.world.now + span, wake)
            self._sleepers.append(woken)
        self._count(-1)
        woken.wait()
        if self._over:
            raise Killed

    def _count(self, change: int) -> None:
        with self._changed:
            self._running += change
            self._changed.notify_all()

    def run(self, until: datetime) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running == 0)
                timestamp, _, what = heapq.heappop(self._agenda)
            if timestamp > until:
                return self._end()
            self.world.now = max(self.world.now, timestamp)
            what()

    def _end(self) -> None:
        """End the threads that still sleep, so that none outlives the test."""
        self._over = True
        for sleeper in self._sleepers:
            sleeper.set()
        self._threads.shutdown()


class VirtualSender(Sender):
    """Takes the virtual time that the endpoint would take."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def post(self, url: str, body: bytes, headers: Any) -> AttemptResult:
        simulation = self._simulation
        simulation.sleep(OVERHEAD)
        simulation.posted_at.setdefault(json.loads(body)["text"], []).append(simulation.world.now)
        attempt = HUNG if url == HANGING_URL else QUICK
        simulation.sleep(timedelta(milliseconds=attempt.milliseconds))
        return attempt


@dataclass
class Environment:
    """One execution environment with its own caches. It takes the next batch when all of one is done."""

    simulation: Simulation
    queue: MemoryQueue
    handle: Callable[[str, datetime, str], Any]

    def take(self) -> None:
        world = self.simulation.world
        batch = self.queue.receive()
        if not batch:
            self.simulation.at(world.now + timedelta(milliseconds=100), self.take)
            return
        left = len(batch)
        lock = threading.Lock()

        def work(message: Any) -> None:
            nonlocal left
            self.handle(message.body, world.now + TIMEOUT, message.receipt_handle)
            with lock:
                self.queue.delete(message.receipt_handle)
                left -= 1
                if left == 0:
                    self.simulation.at(world.now + OVERHEAD, self.take)

        for message in batch:
            self.simulation.start(lambda message=message: work(message))  # type: ignore[misc]


def latencies(aws: Aws, good: Account, hanging: Account, hanging_events: int) -> list[timedelta]:
    """Return the time from queue to POST of each of the good account's events."""
    good.set_target(MISSING, GOOD_URL)
    hanging.set_target(MISSING, HANGING_URL)
    world = World(aws, sender=lambda: VirtualSender(simulation))
    simulation = Simulation(world)
    begin = world.now
    for _ in range(NOTIFIERS):
        functions = world.new_functions()
        notify = functions.notifier.handle
        simulation.at(begin, Environment(simulation, world.events, lambda body, end, _, of=notify: of(body, end)).take)  # type: ignore[misc]
    for _ in range(REDELIVERERS):
        functions = world.new_functions()
        simulation.at(begin, Environment(simulation, world.retries, functions.redeliverer.handle).take)
    sent_at = {}
    for number in range(GOOD):
        timestamp = begin + timedelta(seconds=number * SECONDS_BETWEEN)
        body = missed(good.alias, f"sp-{number}")
        sent_at[f"[sp-{number}]"] = timestamp
        simulation.at(timestamp, lambda body=body: world.send(body))  # type: ignore[misc]
    for number in range(hanging_events):
        body = missed(hanging.alias, f"hanging-{number}")
        simulation.at(begin + timedelta(seconds=10), lambda body=body: world.send(body))  # type: ignore[misc]
    simulation.run(begin + timedelta(seconds=GOOD * SECONDS_BETWEEN + 30))

    posts = {text: times for text, times in simulation.posted_at.items() if "sp-" in text}
    assert len(posts) == GOOD
    assert all(len(times) == 1 for times in simulation.posted_at.values())
    return [times[0] - next(at for mark, at in sent_at.items() if mark in text) for text, times in posts.items()]


def test_the_median_from_queue_to_post_is_at_most_twice_what_it_is_alone(stack: Stack, world_aws: Aws) -> None:
    alone = latencies(world_aws, new_account(stack), new_account(stack), 0)
    beside = latencies(world_aws, new_account(stack), new_account(stack), HANGING)

    print(f"alone {statistics.median(alone)}, beside {statistics.median(beside)}, at most {max(beside)}")
    assert statistics.median(beside) <= 2 * statistics.median(alone)
    # Only the first round waits for the endpoint: after one hang of each environment, no delivery does.
    assert sum(latency > 2 * statistics.median(alone) for latency in beside) * SECONDS_BETWEEN < 20
