"""The whole service in one world: its functions across their boundary, its queues, its clock, the customer's endpoint.

One thread and one seed decide all. The functions are the real ones, from their batches on. Between them and AWS are
botocore, HTTP and the faults.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_webhooks.aws.batch import handle_batch
from backup_webhooks.aws.items import from_item
from backup_webhooks.deliveries.notifier import Notifier
from backup_webhooks.events.messages import Message, encode_message
from backup_webhooks.posting.sender import Sender
from backup_webhooks.sources.aws_backup.plan_publisher import PlansNotRead
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target
from botocore.exceptions import BotoCoreError, ClientError

from local.receiver import Answer, Post, Receiver
from local.targets import save_target
from tests.support.messages import Context, failed_ids, sqs_event
from tests.world.aws import Aws
from tests.world.boundary import Boundary, Killed
from tests.world.functions import ENVIRONMENT, Functions, WatchedSender
from tests.world.history import History
from tests.world.queues import MemoryQueue
from tests.world.queues import Message as QueuedMessage
from tests.world.threads import InThisThread

BEGIN = datetime(2026, 1, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)
EVENTS, RETRIES, EXHAUSTED = "BackupEventsQueue", "RetryQueue", "RetryDeadLetterQueue"
REPORTS, NOTICES = "ReportsQueue", "EmailNoticesQueue"
# The function that reads each queue.
READERS = {EVENTS: "notifier", RETRIES: "redeliverer", REPORTS: "daily_report", NOTICES: "email_notices"}
ACCOUNT = "TEST"
# SQS delivers this share of the messages again after they were deleted.
REPEATED = 0.05


@dataclass(frozen=True)
class Received:
    """A post as the customer's endpoint got it."""

    path: str
    webhook_id: str
    body: dict[str, Any]
    status: int
    at: datetime


class World:
    """`tick_at`: when missed_backups ticks next; None: never. `pause` returns the time from a tick to the next.
    `answer` returns the endpoint's status for a path. `to_say`: the messages that the backup service will send.
    `paused`: functions whose queues are not read. `takes`: the time that a batch takes, in which nothing else
    happens. `environment`: variables of the functions that are to differ. `sender` makes the sender of a new
    environment. `changed`: the ids of targets that the customer has changed, switched off or removed since.
    `forgets`: whether DynamoDB deletes the delivery log's items when they expire; else it is as late as it may be.
    """

    def __init__(
        self,
        aws: Aws,
        receiver: Receiver | None = None,
        chance: random.Random | None = None,
        environment: Mapping[str, str] | None = None,
        sender: Callable[[], Sender] | None = None,
    ) -> None:
        self.aws, self.chance, self.now = aws, chance or random.Random(1), BEGIN
        self.environment = ENVIRONMENT | (environment or {})
        self.queues = {name: self._queue(name) for name in (*READERS, EXHAUSTED)}
        self.history = History()
        self.boundary = Boundary(lambda: self.now, self._wait, on_effect=self.history.on_effect)
        self._sender = sender or (lambda: WatchedSender(self.boundary, self.history))
        self.sqs = aws.enter(self.boundary, self.queues)
        self.received: list[Received] = []
        self.answer: Callable[[str], int] = lambda path: 200
        if receiver:
            self.receiver = receiver
            receiver.on_post = self._on_post
        self.targets: list[Target] = []
        self.changed: set[str] = set()
        self.to_say: list[tuple[datetime, Message]] = []
        self.tick_at: datetime | None = None
        self.pause = lambda: timedelta(minutes=1)
        self.repeated = REPEATED
        self.repetitions = 0
        self.paused: set[str] = set()
        self.takes = timedelta()
        self.forgets = False
        self.start_functions()

    def _queue(self, name: str) -> MemoryQueue:
        return MemoryQueue.of(self.aws.template, name, self.chance, lambda: self.now)

    def _wait(self, time: timedelta) -> None:
        self.now += time

    def start_functions(self) -> None:
        """Begin new execution environments with empty caches."""
        self.aws.forget()
        self.history.environment += 1
        self.functions = self.new_functions()

    def new_functions(self) -> Functions:
        """Return more execution environments beside the present ones."""
        return Functions(self.aws, self.environment, lambda: self.now, self._wait, self._sender, self.chance)

    @property
    def notifier(self) -> Notifier:
        return self.functions.notifier

    @property
    def events(self) -> MemoryQueue:
        return self.queues[EVENTS]

    @property
    def retries(self) -> MemoryQueue:
        return self.queues[RETRIES]

    @property
    def dead_letters(self) -> MemoryQueue:
        """Return the queue of deliveries whose last retry failed."""
        return self.queues[EXHAUSTED]

    def _on_post(self, post: Post) -> Answer:
        status = self.answer(post.path)
        self.received.append(Received(post.path, post.headers["webhook-id"], json.loads(post.body), status, self.now))
        return status

    # --- the customer, the operator and the backup service, whose calls never fail here ---

    def set_target(self, target: Target) -> Target:
        """Set a target as the customer does."""
        save_target(TargetsStore(self.aws.dynamodb(), "WebhooksTable"), target)
        self.targets.append(target)
        return target

    def say(self, message: Message) -> None:
        """Let the backup service send a message now."""
        self.send(encode_message(message))

    def send(self, body: str) -> None:
        """Put a body on BackupEventsQueue."""
        self.sqs("SendMessage", {"QueueUrl": EVENTS, "MessageBody": body}, {})

    def redrive(self) -> None:
        """Put all dead letters back on their queues."""
        for body in self.dead_letters.bodies:
            self.retries.dead_letters.append(body)
        self.queues[EXHAUSTED] = self._queue(EXHAUSTED)
        for queue in self.queues.values():
            queue.redrive()

    def sweep(self) -> int | None:
        """Let the redeliverer sweep the delivery log, as its schedule does. Return how many stood still."""
        swept: int | None = self.invoke("redeliverer", self.functions.redeliverer.sweep.run)
        return swept

    def log(self) -> list[dict[str, Any]]:
        """Return the whole delivery log."""
        return [entry for entry in map(from_item, self._stored()) if "webhookId" in entry]

    def _stored(self) -> Iterator[dict[str, Any]]:
        for page in self.aws.dynamodb().get_paginator("scan").paginate(TableName="DeliveriesTable"):
            yield from page["Items"]

    # --- time ---

    def run(self, until: datetime) -> None:
        """Let all happen that is due up to then."""
        while (timestamp := self._next()) and max(timestamp, self.now) < until:
            self._go_on(timestamp)
        self.now = max(self.now, until)

    def settle(self, within: timedelta = 10 * DAY) -> None:
        """Let all happen until nothing is left to do, or until that time is over."""
        end = self.now + within
        while timestamp := self._next():
            if timestamp > end:
                self.now = end
                return
            self._go_on(timestamp)

    def _next(self) -> datetime | None:
        comes = [self.queues[name].next_visible_at for name, reader in READERS.items() if reader not in self.paused]
        comes += [self.tick_at, min((timestamp for timestamp, _ in self.to_say), default=None)]
        return min((one for one in comes if one), default=None)

    def _expire(self) -> None:
        for item in list(self._stored()):
            if "expiresAt" in item and int(item["expiresAt"]["N"]) < self.now.timestamp():
                key = {name: item[name] for name in ("accountDay", "delivery")}
                self.aws.dynamodb().delete_item(TableName="DeliveriesTable", Key=key)

    def _go_on(self, timestamp: datetime) -> None:
        self.now = max(self.now, timestamp)
        if self.forgets:
            self._expire()
        for message in [message for timestamp, message in self.to_say if timestamp <= self.now]:
            self.say(message)
        self.to_say = [(timestamp, message) for timestamp, message in self.to_say if timestamp > self.now]
        if self.tick_at and self.tick_at <= self.now:
            due, self.tick_at = self.tick_at, self.now + self.pause()
            self.invoke("missed_backups", lambda deadline: self.functions.missed_backups.tick(due, deadline))
        for queue in READERS:
            self._poll(queue)

    def _poll(self, name: str) -> None:
        """Handle a batch as Lambda's event source mapping does. The messages of a killed function come again."""
        queue = self.queues[name]
        batch = [] if READERS[name] in self.paused else queue.receive()
        if not batch:
            return
        self.now += self.takes
        failed = self.invoke(READERS[name], lambda deadline: self._handle(READERS[name], batch, deadline))
        for position, message in enumerate(batch if failed is not None else ()):
            if f"message-{position}" not in failed:
                queue.delete(message.receipt_handle)
                if self.chance.random() < self.repeated:
                    self.repetitions += 1
                    queue.send(message.body)

    def _handle(self, function: str, messages: Sequence[QueuedMessage], deadline: datetime) -> Sequence[str]:
        """Return the ids of the records that the function could not handle."""
        received = {f"message-{position}": message for position, message in enumerate(messages)}
        functions = self.functions
        if function == "email_notices":
            named = {message_id: message.body for message_id, message in received.items()}
            return list(functions.email_notices.send(named, deadline).again)
        handles: Mapping[str, Callable[[QueuedMessage], Any]] = {
            "daily_report": lambda message: functions.account_reports.send(message.body, deadline),
            "notifier": lambda message: functions.notifier.handle(message.body, deadline, message.sent_at),
            "redeliverer": lambda message: functions.redeliverer.handle(message.body, deadline, message.receipt_handle),
        }
        # The deadline of a batch is on the real clock.
        batch = handle_batch(
            sqs_event(*(message.body for message in messages)),
            Context(),  # type: ignore[arg-type]
            InThisThread(),
            lambda record, _: handles[function](received[record["messageId"]]),
        )
        return failed_ids(dict(batch.response))

    def invoke(self, function: str, call: Callable[[datetime], Any]) -> Any:
        """Return the function's answer, or None if it was killed or failed whole. `call` gets the deadline."""
        deadline = self.now + self.aws.timeouts[function]
        self.boundary.enter(function, deadline)
        try:
            return call(deadline)
        except Killed:
            self.start_functions()
        except (BotoCoreError, ClientError, PlansNotRead):
            # A batch answers for each of its records.
            assert function not in READERS.values() or function == "daily_report"
        finally:
            self.boundary.leave()
        return None
