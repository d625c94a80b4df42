"""Grouping: events for a target that come within a minute become one delivery, which is attempted like any other.

No waiting event is lost: the function that adds it ensures, after that, that a message on RetryQueue will send its
group. No event is sent twice: the group is stored in one item, with its delivery, before anything of it is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
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

GROUP_WAIT = timedelta(seconds=60)
# The clocks of two functions may differ by this much.
_CLOCK_SKEW = timedelta(seconds=2)
# A delivery is stored whole, and sent with every quotation mark of its body escaped: SQS takes 256 KiB.
_MOST_CHARACTERS, _MOST_BODY_BYTES = 96 * 1024, 120_000
# The time to send a group and to forget it, even if AWS is slow.
_GROUP_NEEDS = timedelta(seconds=10)

logger = Logger(child=True)


class Grouper(Struct, frozen=True):
    """Lets events wait, and sends them as groups. Shared by threads.

    Raises botocore's errors; each call may be repeated after one.
    """

    groups: GroupsStore
    queue: RetryQueue
    clock: Clock = utc_now
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _planning: dict[str, threading.Event] = field(default_factory=dict)

    def join(self, event: Event, target: Target, delivery: Delivery) -> bool:
        """Add the event to the target's next group. Return False if its delivery was attempted or suppressed before."""
        if not self.groups.join(partition_of(delivery), delivery, target, event, self.clock()):
            return False
        logger.info("grouped", extra=delivery.log_fields())
        self.ensure_sent(delivery)
        return True

    def ensure_sent(self, delivery: Delivery) -> None:
        """Ensure that a message on RetryQueue will send the group of the delivery's event.

        The function that added the event may have been killed before it sent that message.
        """
        partition = partition_of(delivery)
        while not self._is_planned(partition):
            # One thread of a batch sends the message, and the others wait for it, though not with the lock held.
            with self._lock:
                planned = self._planning.get(partition)
                if planned is None:
                    mine = self._planning[partition] = threading.Event()
            if planned:
                planned.wait()
                continue
            try:
                # Another thread may have sent it since.
                if not self._is_planned(partition):
                    self._plan(partition, delivery)
            finally:
                del self._planning[partition]
                mine.set()
            return

    def _is_planned(self, partition: str) -> bool:
        due_at = self.groups.load(partition).due_at
        return due_at is not None and due_at > self.clock() + _CLOCK_SKEW

    def _plan(self, partition: str, delivery: Delivery) -> None:
        now = self.clock()
        due_at = Timestamp.of(now + GROUP_WAIT)
        message = GroupDue(
            account=delivery.account, event_type=delivery.event_type, target_id=delivery.target_id, due_at=due_at
        )
        self.queue.send(message, now)
        # In this order: if two functions send a message, the second one finds nothing to do.
        self.groups.save_due_at(partition, due_at)

    def send_group(self, due: GroupDue, target: Target | None, deadline: datetime) -> int:
        """Send the events that waited for `due` as a delivery, or as several if they are too many for one.

        Return the number of deliveries. Events that cannot be sent by the deadline are left to another message.
        """
        partition = partition_of(due)
        sent = 0
        while group := self._next(partition, due, target):
            if deadline - self.clock() < _GROUP_NEEDS:
                self.queue.send(due, self.clock())
                break
            self.queue.send(group.due, self.clock())
            self.groups.finish(partition, group)
            logger.info("group sent", extra=group.due.delivery.log_fields() | {"count": len(group.keys)})
            sent += 1
        return sent

    def _next(self, partition: str, due: GroupDue, target: Target | None) -> Group | None:
        """Return the group to send next: one that another function has made and not sent, or a new one."""
        while True:
            seen = self.groups.load(partition)
            if seen.group:
                return seen.group
            waiting = _as_many_as_fit(self.groups.waiting(partition, due.due_at))
            if not waiting:
                return None
            now = self.clock()
            delivery, waiting = _delivery(waiting, due, target, now)
            keys = [event.key for event in waiting]
            if group := self.groups.make(partition, seen, AttemptDue.first(delivery, now), keys):
                return group


def _as_many_as_fit(waiting: Iterable[WaitingEvent]) -> Sequence[WaitingEvent]:
    """Return the first events that fit into one delivery, at least one."""
    fitting: list[WaitingEvent] = []
    size = 0
    for event in waiting:
        size += event.size
        if fitting and size > _MOST_CHARACTERS:
            break
        fitting.append(event)
    return fitting


def _delivery(
    waiting: Sequence[WaitingEvent], due: GroupDue, target: Target | None, now: datetime
) -> tuple[Delivery, Sequence[WaitingEvent]]:
    """Return a delivery of the first events, and these events. The target's format may not group any more."""
    if target and not format_named(target.format).grouped:
        waiting = waiting[:1]
    delivery = Delivery.of_group([one.event for one in waiting], due, target, now)
    size = len(delivery.body.encode()) + len((delivery.plain_body or "").encode())
    if len(waiting) > 1 and size > _MOST_BODY_BYTES:
        return _delivery(waiting[: len(waiting) // 2], due, target, now)
    return delivery, waiting
