"""The whole service in one world: its functions across their boundary, its queues, the clock, the customer's endpoint.

One thread and one chance, so that a seed decides all. Functions are the real ones from their batches on; between them
and AWS are botocore, HTTP and whatever faults there are.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_webhooks.aws.batch import handle_batch
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.messages import Message, encode_message
from backup_webhooks.events.queue import BackupEventsQueue
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target
from botocore.exceptions import BotoCoreError, ClientError

from local.receiver import Answer, Post, Receiver
from local.targets import save_target
from tests.faults.aws import Aws
from tests.faults.boundary import Boundary
from tests.faults.functions import NOTIFIER_TIMEOUT, TICK_TIMEOUT, Functions
from tests.faults.history import History
from tests.support.aws_services import MemorySqs
from tests.support.in_this_thread import InThisThread
from tests.support.memory import Killed, MemoryQueue
from tests.support.messages import Context, failed_ids, sqs_event

BEGIN = datetime(2026, 1, 5, 6, tzinfo=UTC)
EVENTS, RETRIES, EXHAUSTED = "BackupEventsQueue", "RetryQueue", "RetryDeadLetterQueue"
ACCOUNT = "TEST"
# So often SQS hands a message over again though it was deleted.
REPEATED = 0.05


@dataclass(frozen=True)
class Received:
    """A post as the customer's endpoint got it, and what it said."""

    path: str
    webhook_id: str
    body: dict[str, Any]
    status: int


class World:
    """`tick_at`: when missed_backups ticks next, which then says when again; None: never."""

    def __init__(self, aws: Aws, receiver: Receiver, chance: random.Random) -> None:
        self.aws, self.chance, self.now = aws, chance, BEGIN
        self.queues = {name: self._queue(name) for name in (EVENTS, RETRIES, EXHAUSTED)}
        self.sqs = MemorySqs(self.queues)
        self.history = History()
        self.boundary = Boundary(lambda: self.now, self._wait, on_effect=self.history.on_effect)
        aws.enter(self.boundary, self.sqs)
        self.received: list[Received] = []
        self.answer: Callable[[str], int] = lambda path: 200
        self.receiver = receiver
        receiver.on_post = self._on_post
        self.targets: list[Target] = []
        self.to_say: list[tuple[datetime, Message]] = []
        self.tick_at: datetime | None = None
        self.pause = lambda: timedelta(minutes=1)
        self.repeated = REPEATED
        self.start_functions()

    def _queue(self, name: str) -> MemoryQueue:
        properties = self.aws.template.cloudformation["Resources"][name]["Properties"]
        return MemoryQueue(
            self.chance,
            lambda: self.now,
            visibility=timedelta(seconds=properties.get("VisibilityTimeout", 30)),
            max_receives=properties.get("RedrivePolicy", {}).get("maxReceiveCount", 0),
        )

    def _wait(self, time: timedelta) -> None:
        self.now += time

    def start_functions(self) -> None:
        """New execution environments, which remember nothing."""
        self.aws.forget()
        self.functions = Functions.of(self.aws, self.boundary, self.history, lambda: self.now, self.chance)

    def _on_post(self, post: Post) -> Answer:
        status = self.answer(post.path)
        self.received.append(Received(post.path, post.headers["webhook-id"], json.loads(post.body), status))
        return status

    # --- the customer, the operator and the backup service, whose calls never fail here ---

    def set_target(self, target: Target) -> Target:
        """A target as the customer has set it."""
        save_target(TargetsStore(self.aws.dynamodb, "WebhooksTable"), target)
        self.targets.append(target)
        return target

    def say(self, message: Message) -> None:
        """The backup service sends a message now."""
        self.sqs("SendMessage", {"QueueUrl": EVENTS, "MessageBody": encode_message(message)}, {})

    def redrive(self) -> None:
        """All dead letters are put back."""
        for body in self.queues[EXHAUSTED].bodies:
            self.queues[RETRIES].dead_letters.append(body)
        self.queues[EXHAUSTED] = self._queue(EXHAUSTED)
        self.sqs.queues = self.queues
        for queue in self.queues.values():
            queue.redrive()

    def log(self) -> list[dict[str, Any]]:
        """The log of deliveries, whole."""
        items = self.aws.dynamodb.scan(TableName="DeliveriesTable")["Items"]
        return [entry for entry in map(from_item, items) if "webhookId" in entry]

    # --- time ---

    def run(self, until: datetime) -> None:
        """Let all happen that happens up to then."""
        while True:
            comes = [queue.next_visible_at for name, queue in self.queues.items() if name != EXHAUSTED]
            comes += [self.tick_at, min((timestamp for timestamp, _ in self.to_say), default=None)]
            timestamp = min((one for one in comes if one), default=until)
            if max(timestamp, self.now) >= until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, timestamp)
            self._go_on()

    def _go_on(self) -> None:
        for message in [message for timestamp, message in self.to_say if timestamp <= self.now]:
            self.say(message)
        self.to_say = [(timestamp, message) for timestamp, message in self.to_say if timestamp > self.now]
        if self.tick_at and self.tick_at <= self.now:
            due, self.tick_at = self.tick_at, self.now + self.pause()
            self._invoke("missed_backups", lambda: self.functions.missed_backups.tick(due, due + TICK_TIMEOUT))
        self._poll(EVENTS, "notifier")
        self._poll(RETRIES, "redeliverer")

    def _poll(self, queue_name: str, function: str) -> None:
        """A batch, as Lambda's event source mapping has it: what is killed comes again as a whole."""
        queue = self.queues[queue_name]
        batch = queue.receive()
        if not batch:
            return
        event = sqs_event(*(message.body for message in batch))
        handle = getattr(self.functions, function).handle
        deadline = self.now + NOTIFIER_TIMEOUT
        answered = self._invoke(
            function,
            lambda: handle_batch(event, Context(), InThisThread(), lambda body, _: handle(body, deadline)),  # type: ignore[arg-type]
        )
        if answered is None:
            return
        failed = failed_ids(answered.response)
        for position, message in enumerate(batch):
            if f"message-{position}" not in failed:
                queue.delete(message)
                if self.chance.random() < self.repeated:
                    queue.send_message(QueueUrl=queue_name, MessageBody=message.body)

    def _invoke(self, function: str, call: Callable[[], Any]) -> Any:
        """What the function answers; None where it was killed, or failed as a whole."""
        self.boundary.enter(function, self.now + (TICK_TIMEOUT if function == "missed_backups" else NOTIFIER_TIMEOUT))
        try:
            return call()
        except Killed:
            self.start_functions()
        except (BotoCoreError, ClientError):
            # missed_backups alone: a batch answers for each of its records.
            assert function == "missed_backups"
        finally:
            self.boundary.leave()
        return None


def events_queue(aws: Aws) -> BackupEventsQueue:
    """As functions send to it."""
    return BackupEventsQueue(aws.sqs, EVENTS)
