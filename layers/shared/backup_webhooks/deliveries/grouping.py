"""Gathering: what comes for a target within a minute becomes one delivery, which is then made like any other.

Nothing that waits is forgotten: who lets a notice wait makes sure, after that, that a message is on RetryQueue which
will look for it, and only then is done. Nothing is told twice: what was taken together is written down in one place,
with the delivery that it became, before anything of it is sent or forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from msgspec import Struct, field

from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, GroupDue
from backup_webhooks.deliveries.groups_store import Group, GroupsStore, WaitingEvent
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.target_partition import partition_of
from backup_webhooks.events.messages import Event
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.payloads import format_named
from backup_webhooks.targets.target import Target

GATHERED_FOR = timedelta(seconds=60)
# By how much the clocks of two functions may differ.
_CLOCKS = timedelta(seconds=2)
# A delivery is stored whole, and sent with every quotation mark of its body escaped: 256 KiB is what SQS takes.
_MOST_CHARACTERS, _MOST_BODY_BYTES = 96 * 1024, 120_000
# To be sent and forgotten, though AWS is slow.
_DELIVERY_NEEDS = timedelta(seconds=10)
# Nobody is left to render for; the delivery says so in the log.
_FORMAT_OF_THE_GONE = "text"

logger = Logger(child=True)


class Grouper(Struct, frozen=True):
    """Lets notices wait, and gathers them up. Shared by threads. Raises botocore's errors, after which each may be
    done again.
    """

    gatherings: GroupsStore
    queue: RetryQueue
    clock: Clock = utc_now
    _one_wakes: threading.Lock = field(default_factory=threading.Lock)

    def join(self, event: Event, delivery: Delivery, target: Target) -> bool:
        """Let the notice wait for the target's next gathering; False where its delivery was attempted before, or is
        held back.
        """
        partition = partition_of(target.account, target.event_type, target.target_id)
        if not self.gatherings.join(partition, delivery, target, event, self.clock()):
            return False
        logger.info("gathered", extra=delivery.log_fields())
        self.see_to(delivery)
        return True

    def see_to(self, delivery: Delivery) -> None:
        """Make sure that somebody comes for the delivery's notice, which waits, or has waited: whoever let it wait may
        not have come so far.
        """
        partition = partition_of(delivery.account, delivery.event_type, delivery.target_id)
        if not self._is_awake(partition):
            # Of a batch one sends the message, and the others find that it has.
            with self._one_wakes:
                if not self._is_awake(partition):
                    self._wake(partition, delivery)

    def _is_awake(self, partition: str) -> bool:
        wake_up_at = self.gatherings.load(partition).wake_up_at
        return wake_up_at is not None and wake_up_at > self.clock() + _CLOCKS

    def _wake(self, partition: str, delivery: Delivery) -> None:
        now = self.clock()
        due_at = Timestamp.of(now + GATHERED_FOR)
        wake_up = GroupDue(
            account=delivery.account, event_type=delivery.event_type, target_id=delivery.target_id, due_at=due_at
        )
        self.queue.send(wake_up, now)
        # After that, as nobody else sends one then: of two that come the second finds nothing.
        self.gatherings.save_wake_up(partition, due_at)

    def gather_up(self, wake_up: GroupDue, find_target: Callable[[], Target | None], deadline: datetime) -> int:
        """Send what has waited for it as a delivery, or as several where it is too much for one; how many they were.

        Where that can't be done by the deadline, the rest is left to another that is sent.
        """
        partition = partition_of(wake_up.account, wake_up.event_type, wake_up.target_id)
        sent = 0
        while grouped := self._next(partition, wake_up, find_target):
            if deadline - self.clock() < _DELIVERY_NEEDS:
                self.queue.send(wake_up, self.clock())
                break
            self.queue.send(grouped.order, self.clock())
            self.gatherings.finish(partition, grouped)
            logger.info("gathered up", extra=grouped.order.delivery.log_fields() | {"count": len(grouped.keys)})
            sent += 1
        return sent

    def _next(self, partition: str, wake_up: GroupDue, find_target: Callable[[], Target | None]) -> Group | None:
        """What is to be sent next: what somebody else has made and not sent, or one that is made now."""
        while True:
            seen = self.gatherings.load(partition)
            if seen.grouped:
                return seen.grouped
            waiting = _as_many_as_fit(self.gatherings.waiting(partition, wake_up.due_at))
            if not waiting:
                return None
            target = find_target()
            now = self.clock()
            delivery, waiting = _delivery(waiting, wake_up, target.format if target else _FORMAT_OF_THE_GONE, now)
            order = AttemptDue.first(delivery, now)
            if grouped := self.gatherings.make(partition, seen, order, [one.key for one in waiting]):
                return grouped


def _as_many_as_fit(waiting: Iterable[WaitingEvent]) -> Sequence[WaitingEvent]:
    """The first of them, one at least."""
    fitting: list[WaitingEvent] = []
    size = 0
    for one in waiting:
        size += one.size
        if fitting and size > _MOST_CHARACTERS:
            break
        fitting.append(one)
    return fitting


def _delivery(
    waiting: Sequence[WaitingEvent], wake_up: GroupDue, format_name: str, now: datetime
) -> tuple[Delivery, Sequence[WaitingEvent]]:
    """The delivery of the first of them, and which these are: a target may have been given another format since."""
    if not format_named(format_name).grouped:
        waiting = waiting[:1]
    delivery = Delivery.of_all([one.event for one in waiting], wake_up, format_name, now)
    if len(waiting) > 1 and len(delivery.body.encode()) > _MOST_BODY_BYTES:
        return _delivery(waiting[: len(waiting) // 2], wake_up, format_name, now)
    return delivery, waiting
