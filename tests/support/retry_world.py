"""Notifier and redeliverer over days in seconds: real tables and real POSTs, queues with virtual time, and functions
that are killed, or whose calls of AWS fail, where the test says so.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_webhooks.aws.errors import TryAgain
from backup_webhooks.deliveries.attempt import Deliverer
from backup_webhooks.deliveries.deliveries_store import DeliveriesStore
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.deliveries.grouping import Grouper
from backup_webhooks.deliveries.groups_store import GroupsStore
from backup_webhooks.deliveries.health_recorder import HealthRecorder
from backup_webhooks.deliveries.notifier import Notifier
from backup_webhooks.deliveries.redeliverer import Redeliverer
from backup_webhooks.deliveries.reminders import Reminders
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.replays import Replays
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.retry_schedule import RetrySchedule
from backup_webhooks.deliveries.suppression import Suppression
from backup_webhooks.events.email_notices_queue import EmailNoticesQueue
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.history.backup_output_store import BackupOutputStore
from backup_webhooks.history.backups_store import BackupsStore
from backup_webhooks.monitoring.recorder import Recorder
from backup_webhooks.monitoring.server_policies_store import ServerPoliciesStore
from backup_webhooks.monitoring.streaks_store import StreaksStore
from backup_webhooks.monitoring.watermark_store import WatermarkStore
from backup_webhooks.posting.sender import AttemptResult, Sender
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.store import TargetsStore
from botocore.exceptions import BotoCoreError

from local.receiver import Post
from local.stack import Stack
from tests.support.memory import Killed, MemoryQueue

TIMEOUT = timedelta(seconds=30)
DAY = timedelta(days=1)
# Three steps of the schedule that is deployed.
DELAYS = (timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=24))


class _Stepping:
    """A client whose calls are steps: something may happen before each, and after it."""

    def __init__(self, client: Any, step: Callable[[], None]) -> None:
        self._client, self._step = client, step

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name == "get_paginator":
            return lambda operation: _Stepping(call(operation), self._step)
        if not name.endswith(("_item", "_items", "query", "paginate")):
            return call

        def stepping(**parameters: Any) -> Any:
            self._step()
            answer = call(**parameters)
            self._step()
            return answer

        return stepping


class _SteppingSender(Sender):
    """Being killed after the POST leaves it unrecorded: those are counted, as they may be made again."""

    def __init__(self, world: RetryWorld) -> None:
        super().__init__(allow_private_targets=True)
        self._world = world

    def post(self, *args: Any) -> AttemptResult:
        self._world.kill_or_go_on()
        attempt = super().post(*args)
        self._world.posts_in_flight += 1
        self._world.kill_or_go_on()
        return attempt


@dataclass
class RetryWorld:
    """`step` is called before and after each call of AWS, and may raise; `kill` before and after each POST."""

    stack: Stack
    delays: Sequence[timedelta] = DELAYS
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    step: Callable[[], None] = lambda: None
    kill: Callable[[], None] = lambda: None
    now: datetime = datetime(2026, 1, 5, 6, tzinfo=UTC)
    kills: int = 0
    # POSTs that were made and not recorded before the function was killed.
    posts_in_flight: int = 0
    posts_lost_sight_of: int = 0

    def __post_init__(self) -> None:
        self.make_sender: Callable[[], Sender] = lambda: _SteppingSender(self)
        self.events = MemoryQueue(self.chance, lambda: self.now, self._step)
        self.retries = MemoryQueue(self.chance, lambda: self.now, self._step)
        self.dead_letters = MemoryQueue(self.chance, lambda: self.now, self._step)
        self.start_functions()

    def _step(self) -> None:
        self.step()

    def kill_or_go_on(self) -> None:
        self.kill()

    def start_functions(self) -> None:
        """New execution environments, which remember nothing."""
        outputs, client = self.stack.outputs, self.stack.client("dynamodb")
        dynamodb: Any = _Stepping(client, self._step)

        def clock() -> datetime:
            return self.now

        webhooks = TargetsStore(dynamodb, outputs["WebhooksTableName"])
        self.deliveries = DeliveriesStore(dynamodb, outputs["DeliveriesTableName"], 30 * DAY)
        retry_queue = RetryQueue(self.retries, "RetryQueue")  # type: ignore[arg-type]
        dead_letters = RetryQueue(self.dead_letters, "RetryDeadLetterQueue")  # type: ignore[arg-type]

        def deliverer(cache: TargetsCache) -> Deliverer:
            return Deliverer(
                deliveries=self.deliveries,
                sender=self.make_sender(),
                health=HealthRecorder(webhooks, cache),
                schedule=RetrySchedule(self.delays, self.chance),
                clock=clock,
            )

        def seconds() -> float:
            return self.now.timestamp()

        self.grouper = Grouper(GroupsStore(self.deliveries), retry_queue, clock)
        store = RemindersStore(dynamodb, self.deliveries.table)
        suppression = Suppression(self.deliveries, self.grouper, clock)
        reminders = Reminders(store, retry_queue, suppression, clock)
        streaks = StreaksStore(dynamodb, outputs["ServerPoliciesTableName"])
        notifiers, redeliverers = (TargetsCache(webhooks.of_account, seconds) for _ in range(2))
        self.notifier = Notifier(
            targets=notifiers,
            deliverer=deliverer(notifiers),
            retry_queue=retry_queue,
            grouper=self.grouper,
            suppression=suppression,
            reminders=reminders,
            recorder=Recorder(
                ServerPoliciesStore(client, outputs["ServerPoliciesTableName"]),
                BackupEventsQueue(self.events, "BackupEventsQueue"),  # type: ignore[arg-type]
            ),
            backups=BackupsStore(dynamodb, outputs["BackupsTableName"]),
            backup_output=BackupOutputStore(dynamodb, outputs["BackupsTableName"]),
            watermark_store=WatermarkStore(client, outputs["ServerPoliciesTableName"]),
            email_notices=EmailNoticesQueue(self.retries, ""),  # type: ignore[arg-type]
            clock=clock,
        )
        self.redeliverer = Redeliverer(
            redeliverers, deliverer(redeliverers), retry_queue, dead_letters, self.grouper, reminders, streaks, clock
        )
        self.replays = Replays(DeliveryLog(dynamodb, outputs["DeliveriesTableName"]), retry_queue, clock)

    def send(self, body: str) -> None:
        self.events.send_message(QueueUrl="BackupEventsQueue", MessageBody=body)

    def run(self, until: timedelta = 10 * DAY) -> None:
        """Let the functions work until there is nothing left to do, or that time is over."""
        end = self.now + until
        while visible := [queue.next_visible_at for queue in (self.events, self.retries) if queue.next_visible_at]:
            if min(visible) > end:
                self.now = end
                return
            self.now = max(self.now, min(visible))
            for queue, function in ((self.events, "notifier"), (self.retries, "redeliverer")):
                for message in queue.receive():
                    self.posts_in_flight = 0
                    try:
                        # The one that is there now: where the last was killed, it is another.
                        getattr(self, function).handle(message.body, self.now + TIMEOUT)
                        self.step()
                    except Killed:
                        self.kills += 1
                        self.posts_lost_sight_of += self.posts_in_flight
                        self.start_functions()
                    except (TryAgain, BotoCoreError):
                        pass
                    else:
                        queue.delete(message)


@dataclass
class Injector:
    """Raises `error` at the step with that number, once; counts the steps."""

    at: int = -1
    error: BaseException | None = None
    count: int = 0

    def __call__(self) -> None:
        self.count += 1
        if self.count - 1 == self.at and self.error:
            raise self.error


class Endpoint:
    """What a test's receiver answers: its scripted statuses one after the other, then the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.posts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, post: Post) -> int:
        with self._lock:
            self.posts[post.headers["webhook-id"]] += 1
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class Times:
    """An endpoint that notes the world's time at each post."""

    def __init__(self, *statuses: int) -> None:
        self.world: RetryWorld | None = None
        self.posts: list[tuple[datetime, Post]] = []
        self._answer = Endpoint(*statuses)

    def __call__(self, post: Post) -> int:
        assert self.world
        self.posts.append((self.world.now, post))
        return self._answer(post)

    @property
    def pauses(self) -> list[timedelta]:
        return [later - earlier for (earlier, _), (later, _) in zip(self.posts, self.posts[1:], strict=False)]
