"""Reminding: while something goes on going wrong, its target is told of it again, each so many hours by the clock.

A message on RetryQueue is due then, one for each target and server policy. Which of several it is that counts is
written down; so one that comes twice reminds nobody twice, and one that was lost is made up for by the next backup
that goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self

from aws_lambda_powertools import Logger
from msgspec import Struct

from backup_webhooks.deliveries.delivery import AttemptDue, Delivery, ReminderDue
from backup_webhooks.deliveries.reminders_store import RemindersStore
from backup_webhooks.deliveries.retry_queue import RetryQueue
from backup_webhooks.deliveries.suppression import Instead, Wishes
from backup_webhooks.deliveries.target_partition import partition_of
from backup_webhooks.events.messages import Event, without_output
from backup_webhooks.events.timestamps import Clock, Timestamp, utc_now
from backup_webhooks.targets.target import Target

_HELD_BACK = timedelta(hours=1)
# By then a message that is on RetryQueue has come, or never will.
_OVERDUE = timedelta(hours=1)

logger = Logger(child=True)


class Reminders(Struct, frozen=True):
    """Plans reminders, and gives them. Shared by threads. Raises botocore's errors, after which each may be done
    again.
    """

    store: RemindersStore
    queue: RetryQueue
    wishes: Wishes
    clock: Clock = utc_now

    @classmethod
    def of(cls, queue: RetryQueue, wishes: Wishes) -> Self:
        """Those of the targets whose wishes these are."""
        return cls(RemindersStore(wishes.deliveries.client, wishes.deliveries.table), queue, wishes)

    def note(self, event: Event, target: Target, *, is_news: bool) -> None:
        """Plan to remind the target of the notice, or of it instead of the one before.

        `is_news`: nothing of the kind went on before, so that the hours begin now.
        """
        hours = target.preferences.remind_hours
        if hours is None:
            return
        now = self.clock()
        due_at = Timestamp.of(now + timedelta(hours=hours))
        partition = partition_of(target.account, target.event_type, target.target_id)
        event = event if target.include_output else without_output(event)
        planned = self.store.keep(partition, event, due_at + self.wishes.deliveries.retention)
        begins = is_news and planned.begins
        if begins or planned.due_at is None or not now - _OVERDUE <= planned.due_at <= due_at:
            self._plan(partition, target, event.server_policy_id, due_at, event.occurred_at if begins else None)

    def counts(self, message: ReminderDue) -> bool:
        """Whether the message is the one for its target and server policy, and not one of before."""
        partition = partition_of(message.account, message.event_type, message.target_id)
        return self.store.due(partition, message.server_policy_id, message.due_at) is not None

    def _plan(
        self,
        partition: str,
        target: Target,
        server_policy_id: str,
        due_at: Timestamp,
        begun_with: datetime | None = None,
    ) -> None:
        message = ReminderDue(
            account=target.account,
            event_type=target.event_type,
            target_id=target.target_id,
            server_policy_id=server_policy_id,
            due_at=due_at,
        )
        self.queue.send(message, self.clock())
        self.store.plan(partition, server_policy_id, due_at, begun_with)

    def remind(self, message: ReminderDue, target: Target | None, goes_on: Callable[[], bool]) -> None:
        """Give the reminder that is due, and plan the next; or forget it, where nobody wants it or it is over."""
        partition = partition_of(message.account, message.event_type, message.target_id)
        event = self.store.due(partition, message.server_policy_id, message.due_at)
        if event is None:
            return
        hours = target.preferences.remind_hours if target and target.enabled else None
        if target is None or hours is None or not goes_on():
            self.store.forget(partition, message.server_policy_id, message.due_at)
            return
        now = self.clock()
        # Held back for quiet hours it would be each day at the same time.
        then = timedelta(hours=hours) if self._give(event, message, target, now) else _HELD_BACK
        self._plan(partition, target, message.server_policy_id, Timestamp.of(now + then))

    def _give(self, event: Event, message: ReminderDue, target: Target, now: datetime) -> bool:
        """False where the target does not want it now."""
        delivery = Delivery.of(event, target).as_reminder(message.server_policy_id, message.due_at)
        instead = self.wishes.honour(event, target, delivery)
        if instead is Instead.SUPPRESSED:
            return False
        if instead is None:
            self.queue.send(AttemptDue.first(delivery, now), now)
        logger.info("reminded", extra=delivery.log_fields())
        return True
